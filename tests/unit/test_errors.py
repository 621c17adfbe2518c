"""Errors: one family, the exit code of each, and a first line for any."""

import pytest

from pdeinv import errors


def test_all_errors_are_exported_and_of_one_family():
    classes = {n for n, v in vars(errors).items() if isinstance(v, type)}
    assert classes | {"hint", "reason"} == set(errors.__all__)
    assert all(issubclass(getattr(errors, n), errors.PdeinvError) for n in classes)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ConfigError", 2),
        ("UnknownPlugin", 2),
        ("DataSchemaError", 2),
        ("OutputExists", 2),
        ("SurrogateRejected", 2),
        ("SolverDiverged", 1),
        ("RunFailed", 1),
        ("Preempted", 75),
    ],
)
def test_exit_codes(name, code):
    assert getattr(errors, name).exit_code == code


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("first\nsecond"), "first"),
        (KeyError(), "KeyError"),
        (RuntimeError("  \n "), "RuntimeError"),
    ],
)
def test_the_reason_is_one_line(error, text):
    assert errors.reason(error) == text
