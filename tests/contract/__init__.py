import pytest

pytest.register_assert_rewrite(f"{__name__}.reading", f"{__name__}.writing", f"{__name__}.noting")
