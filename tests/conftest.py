"""What all tests stand on: signals as a terminal's programs get them.

A job that a script puts into the background ignores SIGINT and SIGQUIT, and so would
all that is started here.
"""
import signal


def pytest_configure(config):
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
