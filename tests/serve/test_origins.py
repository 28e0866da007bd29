"""Pages of other sites neither read a local server nor give it work."""

import pytest

from dfjax.serve import origins
from dfjax.serve.errors import RequestError
from dfjax.serve.origins import Origins

APP = "https://app.example"


def passes(checked, method="GET", **headers) -> bool:
    raw = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    try:
        checked.check(method, raw)
    except RequestError as error:
        return error.status != 403
    return True


@pytest.mark.parametrize(
    ("host", "on_loopback", "named"),
    [
        ("localhost", True, True),
        ("LOCALHOST:8000", True, True),
        ("127.0.0.1:8000", True, True),
        ("[::1]:8000", True, True),
        ("evil.example", False, False),
        ("evil.example:8000", False, False),
        ("localhost.evil.example", False, False),
        ("localhost:8000:80", False, False),
        ("localhost:x", False, False),
        ("::1", False, False),
        ("", False, False),
        ("a" * 10_000, False, False),
        ("Judge.example:443", False, True),
        ("127.0.0.2", False, False),
    ],
)
def test_a_server_answers_to_its_names_alone(host, on_loopback, named):
    for address in ("127.0.0.1", "::1", "localhost"):
        assert passes(Origins(address), host=host) == on_loopback
    for address in ("127.0.0.1", "0.0.0.0"):
        assert passes(Origins(address, hosts=["judge.example"]), host=host) == named
    assert passes(Origins("0.0.0.0"), host=host)


def test_a_server_answers_to_the_address_that_it_listens_on():
    assert passes(Origins("127.0.0.2"), host="127.0.0.2:8000")
    assert passes(Origins("10.0.0.1", hosts=["a.example"]), host="10.0.0.1")


@pytest.mark.parametrize(
    ("headers", "same", "allowed"),
    [
        ({}, True, True),
        ({"origin": "http://localhost:8000"}, True, True),
        ({"origin": "https://localhost:8000"}, True, True),  # TLS ends at a proxy
        ({"origin": "http://localhost:3000"}, False, False),
        ({"origin": "http://localhost"}, False, False),
        ({"origin": "null"}, False, False),
        ({"origin": APP}, False, True),
        ({"origin": APP, "sec_fetch_site": "cross-site"}, False, True),
        ({"origin": f"{APP}.evil"}, False, False),
        ({"sec_fetch_site": "cross-site"}, False, False),
        ({"sec_fetch_site": "same-origin"}, True, True),
        ({"sec_fetch_site": "none"}, True, True),
    ],
)
def test_pages_of_other_sites_give_no_work(headers, same, allowed):
    headers = {"host": "localhost:8000", **headers}
    for method in ("POST", "DELETE"):
        assert passes(Origins("127.0.0.1"), method, **headers) == same
        assert passes(Origins("127.0.0.1", origins=[APP]), method, **headers) == allowed
    assert passes(Origins("127.0.0.1"), **headers)  # the browser keeps answers to GET from them


def test_an_origin_has_no_path():
    assert all(map(origins.is_origin, (APP, "http://localhost:3000", "https://[::1]:1")))
    wrong = ("", "*", "app.example", f"{APP}/", f"{APP}/a", "ftp://a", "null", "HTTPS://A.example")
    assert not any(map(origins.is_origin, wrong))


def test_a_host_has_no_port():
    assert all(map(origins.is_host, ("judge.example", "Judge", "10.0.0.1", "::1", "[::1]")))
    wrong = ("", "judge.example:443", "10.0.0.1:80", "[::1]:80", APP, "abc:80", "a/b", "a b")
    assert not any(map(origins.is_host, wrong))


def test_the_server_refuses_strangers(server, picture):
    files = {"file": ("a.png", picture)}
    answer = server.client.get("/metrics", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    for headers in ({"origin": APP}, {"sec-fetch-site": "cross-site"}):
        for path in ("/v1/detect", "/v1/jobs"):
            answer = server.client.post(path, files=files, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        assert server.client.delete("/v1/jobs/x", headers=headers).status_code == 403
    preflight = {"origin": APP, "access-control-request-method": "POST"}
    answer = server.client.options("/v1/detect", headers=preflight)
    assert "access-control-allow-origin" not in answer.headers


def test_sites_and_names_can_be_allowed(start, model, picture):
    with start(model, allowed_hosts=["judge.example"], allowed_origins=[APP]) as server:
        host, origin = {"host": "judge.example"}, {"origin": APP}
        assert server.client.get("/v2", headers=host).status_code == 200
        assert server.client.get("/v2", headers={"host": "evil.example"}).status_code == 403
        preflight = {**origin, "access-control-request-method": "DELETE"}
        answer = server.client.options("/v1/jobs/x", headers=preflight)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, APP)
        stranger = {**preflight, "origin": "https://evil.example"}
        answer = server.client.options("/v1/jobs/x", headers=stranger)
        assert "access-control-allow-origin" not in answer.headers
        files = {"file": ("a.png", picture)}
        answer = server.client.post("/v1/detect", files=files, headers=origin)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, APP)
        answer = server.client.post("/v1/detect", content=b"", headers=origin)  # errors, too
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (415, APP)


def test_answers_keep_to_their_own_site(server):
    headers = server.client.get("/").headers
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["permissions-policy"] == "camera=(self)"
