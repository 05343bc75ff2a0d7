"""The scenario of scenario.py on Filecoin's test network, with a wallet that has some

FILDRIVE_CALIBRATION_KEY is its secret key, 0x and 64 hex digits; it needs 2 tUSDFC and
1 tFIL, of which most come back.  It takes half an hour, and the Internet.  Nobody
runs it unasked: docs/testing.md.
"""
import os

import pytest

from netdrive import NetDrive
from scenario import lost_and_found

KEY = os.environ.get('FILDRIVE_CALIBRATION_KEY')
HOUR = 3600


class OnCalibration(NetDrive):
    patience = HOUR  # an epoch takes 30 s, and providers take their time

    def store_args(self):
        return ['--store', 'filecoin://calibration?copies=2']


@pytest.mark.skipif(not KEY, reason='this user has no wallet on calibration '
                    '(FILDRIVE_CALIBRATION_KEY)')
def test_a_drive_on_calibration_is_lost_and_found():
    with OnCalibration(None) as d:
        lost_and_found(d, KEY)
