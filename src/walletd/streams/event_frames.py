"""The events of streams as bytes, each made once for all subscriptions that see the same.

frames = EventFrames(epoch)
frames.frame(subscription, sequence, previous, record)
"""


class EventFrames:
    """The frames of the last published entry: the first subscriptions of a thousand sessions share one."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._record = b""
        self._frames: dict[tuple[int, int], bytes] = {}

    def frame(self, subscription: int, sequence: int, previous: int, record: bytes) -> bytes:
        """The event around the entry's stored bytes; the entry is not encoded again."""
        if record is not self._record:
            self._record = record
            self._frames = {}
        key = subscription, previous
        frame = self._frames.get(key)
        if frame is None:
            frame = self._frames[key] = (
                b'{"jsonrpc":"2.0","method":"stream.event","params":{"subscription":%d,"epoch":%d,"sequence":%d,'
                b'"previous_sequence":%d,"entry":%b}}' % (subscription, self._epoch, sequence, previous, record)
            )
        return frame
