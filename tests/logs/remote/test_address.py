"""Which URLs are taken."""

from __future__ import annotations

import pytest

from fusion_aug import ConfigError
from fusion_aug.logs.remote.address import address_of, is_url

pytestmark = pytest.mark.quick


def test_one_address_has_one_folder() -> None:
    first, again = address_of("s3://bucket/logs/kitti", "log.root"), address_of("s3://bucket/logs/kitti/", "log.root")
    assert first == again and first.folder_name.startswith("kitti-") and "/" not in first.folder_name
    assert first.folder_name != address_of("s3://other/logs/kitti", "log.root").folder_name
    assert is_url("s3://bucket") and not is_url("/a/b") and not is_url("c:/a")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://example.com/log", "a web server does not list its files"),
        ("file:///data/log", "give its path alone"),
        ("memory://log", "no store of files which every process sees"),
        ("dask://s3/log", "no store"),
        ("simplecache::s3://bucket/log", "neither a folder nor"),
        ("s3://bucket/a::s3://b", "chained"),
        ("s3://", "expected PROTOCOL://BUCKET/PREFIX"),
        ("s3://bucket/a/../b", "expected PROTOCOL://BUCKET/PREFIX"),
        ("s3://bucket//b", "expected PROTOCOL://BUCKET/PREFIX"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        address_of(url, "log.root")
    assert str(caught.value).startswith("log.root: ") and "\n" not in str(caught.value)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="holds a password") as caught:
        address_of("sftp://me:hunter2@host/log", "log.root")
    assert "hunter2" not in str(caught.value)
    assert address_of("abfs://box@account.dfs.core.windows.net/log", "log.root").protocol == "abfs"
