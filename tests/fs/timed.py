"""timed.py - a drive whose clocks a test sets"""
import os
import struct

from conftest import OPTIONS
from drive import Drive

DAY = 86400


class Timed(Drive):
    """Whose processes see the clocks that the test sets (clock.c)."""

    def __init__(self, **kw):
        super().__init__(options=OPTIONS, **kw)
        self.clock = os.path.join(self.dir, 'clock')
        self.real = self.monotonic = 0  # seconds added
        with open(self.clock, 'wb') as f:
            f.write(bytes(16))

    def env(self):
        others = os.environ.get('LD_PRELOAD', '')
        return {**super().env(), 'CLOCK_FILE': self.clock,
                'LD_PRELOAD': os.environ['FILDRIVE_CLOCK'] + ' ' + others}

    def set_clock(self, real=None, monotonic=None):
        self.real = self.real if real is None else real
        self.monotonic = self.monotonic if monotonic is None else monotonic
        with open(self.clock, 'r+b') as f:
            f.write(struct.pack('=qq', int(self.real * 10**9),
                                int(self.monotonic * 10**9)))

    def pass_time(self, seconds):
        """Of an awake machine: both clocks go on."""
        self.set_clock(self.real + seconds, self.monotonic + seconds)
