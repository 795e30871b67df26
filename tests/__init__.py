"""Tests of all packages."""

import pytest

pytest.register_assert_rewrite("tests.support")  # before any of it is imported, so that failures show their values
