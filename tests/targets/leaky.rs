// A Rust program: Rust's allocator is malloc, so what it drops is freed and what it
// forgets is not.  `leaky` leaves 7 blocks of 1111 bytes by rust_leak().
use std::io::{BufRead, Write};

#[inline(never)]
fn rust_leak() -> &'static mut Vec<u8> {
    Box::leak(Box::new(Vec::with_capacity(1111)))
}

#[inline(never)]
fn rust_keep_and_drop(count: usize) -> usize {
    let words: Vec<String> = (0..count).map(|i| format!("word {}", i)).collect();
    words.iter().map(|word| word.len()).sum()
}

fn wait_line() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
}

fn main() {
    println!("READY {}", std::process::id());
    std::io::stdout().flush().unwrap();
    wait_line();
    let mut kept = 0;
    for _ in 0..7 {
        kept += rust_leak().capacity();
    }
    let handle = std::thread::spawn(|| rust_keep_and_drop(300));
    let total = rust_keep_and_drop(200) + handle.join().unwrap();
    println!("DONE");
    wait_line();
    println!("RESULT {{\"verdict\": \"ok\", \"kept\": {}, \"total\": {}}}", kept, total);
}
