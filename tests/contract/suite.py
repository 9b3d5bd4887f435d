"""What every adapter promises, each promise a test that takes a `rig`."""

from .noting import *  # noqa: F403
from .reading import *  # noqa: F403
from .unreadable import *  # noqa: F403
from .visibility import *  # noqa: F403
from .writing import *  # noqa: F403
