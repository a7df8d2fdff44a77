// leaks: a Go program that leaks in one line of its C code, of argv[1] goroutines, one after the other.
package main

/*
#include <stdlib.h>

void *volatile kept[1000];
static int count;

__attribute__((noinline)) static void leak_one_line(void)
{
	kept[count++ % 1000] = malloc(48);
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
)

//go:noinline
func deeper(n int) {
	if n > 0 {
		deeper(n - 1)
		return
	}
	C.leak_one_line()
}

func main() {
	fmt.Printf("READY %d\n", os.Getpid())
	bufio.NewReader(os.Stdin).ReadString('\n')
	n, _ := strconv.Atoi(os.Args[1])
	done := make(chan bool)
	for i := 0; i < n; i++ {
		go func(i int) { deeper(i % 7); done <- true }(i)
		<-done
	}
	fmt.Println("DONE")
	bufio.NewReader(os.Stdin).ReadString('\n')
}
