"""What the threads of a client tell its sender."""

import threading


class Signals:
    """What others tell the sender: that there is news, that somebody waits for it, that it is to stop."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self.news = threading.Event()
        self.urgent = threading.Event()
        self.stop = threading.Event()

    def hurry(self) -> None:
        """Cut short whatever the sender waits for, but not what the endpoint asked it to wait."""
        self.urgent.set()
        self.news.set()

    def halt(self) -> None:
        """Have it stop as soon as the request in flight is answered."""
        self.stop.set()
        self.hurry()
