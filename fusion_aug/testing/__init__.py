"""Tools for tests of one's own: a mock device, which shows without a GPU what a program would cost on one.

Nothing of the package imports this: ``from fusion_aug.testing import mock_device`` does.
"""

from fusion_aug.testing.device import mock_device
from fusion_aug.testing.log import CopyIn, DeviceLog, Launch, Sync, SynchronizationError

__all__ = ["CopyIn", "DeviceLog", "Launch", "Sync", "SynchronizationError", "mock_device"]
