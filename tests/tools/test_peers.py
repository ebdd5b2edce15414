"""tests/lib/peers.py: an installation that was broken off is not taken for whole the next time."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import peers


def test_what_was_broken_off_is_installed_again(tmp_path):
    place = tmp_path / "peer"
    with pytest.raises(KeyboardInterrupt):
        with peers.installing(place, "1.0") as missing:
            assert missing
            (place / "half").touch()
            raise KeyboardInterrupt
    with peers.installing(place, "1.0") as missing:
        assert missing and not (place / "half").exists()
        (place / "whole").touch()
    with peers.installing(place, "1.0") as missing:
        assert not missing and (place / "whole").exists()


def test_another_version_takes_the_place(tmp_path):
    for version in ("1.0", "2.0"):
        with peers.installing(tmp_path / "peer", version) as missing:
            assert missing
    with peers.installing(tmp_path / "peer", "2.0") as missing:
        assert not missing
