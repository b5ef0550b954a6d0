"""Where the page is served, and what a wider address needs."""

from __future__ import annotations

import socket

import pytest

from page.address import HttpAddress, listen


def test_a_port_in_use_is_passed_over_only_by_default() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bound = listen(HttpAddress(port=port))
        with bound.socket:
            assert port < bound.port <= port + 20 and f"{port} is in use" in bound.note
        with pytest.raises(OSError, match=f"page cannot be served on 127.0.0.1:{port}: .*--http"):
            listen(HttpAddress("127.0.0.1", port, fixed=True))


def test_only_a_wider_address_has_a_token() -> None:
    here, wide = listen(HttpAddress(port=0, fixed=True)), listen(HttpAddress("0.0.0.0", 0, True))
    with here.socket, wide.socket:
        assert here.url == f"http://127.0.0.1:{here.port}/" and not here.note
        assert wide.url == f"http://127.0.0.1:{wide.port}/?token={wide.token}"
        assert len(wide.token) > 20 and "other machines" in wide.note


def test_a_host_that_there_is_not_is_told_in_one_line() -> None:
    with pytest.raises(OSError, match="^the page cannot be served on no.such.host.invalid:8000: "):
        listen(HttpAddress("no.such.host.invalid", 8000, fixed=True))
