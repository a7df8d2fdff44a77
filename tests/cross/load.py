"""Work for a program that serves: asked by this machine, again and again, until the end of the block."""
import threading


class Load:
    """ask(): one question and its answer, or an exception."""

    def __init__(self, ask):
        self.ask, self.count, self.error, self.ends = ask, 0, None, False
        self.more = threading.Condition()
        self.thread = threading.Thread(target=self._work)

    def _work(self):
        try:
            while not self.ends:
                self.ask()
                with self.more:
                    self.count += 1
                    self.more.notify_all()
        except Exception as error:  # told by wait()
            self.error = error
            with self.more:
                self.more.notify_all()

    def wait(self, count):
        """.. until so many more have been answered."""
        with self.more:
            upto = self.count + count
            assert self.more.wait_for(lambda: self.error or self.count >= upto, 120), "no more answers come"
        if self.error:
            raise self.error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()
