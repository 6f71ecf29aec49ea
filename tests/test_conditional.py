"""ETag, If-None-Match and If-Match on users and sales: no update is lost."""

import threading

import pytest
from conftest import problem


@pytest.fixture(params=["user", "venta"])
def resource(request, beto):
    """The path of a user, or of a sale, and a change of it."""
    if request.param == "user":
        return f"/user/{beto.id}", {"nombre": "Otro"}
    return beto.post("/venta/", json={"venta": 5, "ventas_productos": 1}).headers["location"], {"venta": 7}


def suffixed(tag: str) -> list[str]:
    """The tag as proxies that compress an answer change it."""
    return [f'{tag[:-1]}{suffix}"' for suffix in ("-gzip", "--gzip", ";gzip", "-br", "-zstd")] + [
        f'W/{tag[:-1]}-gzip"'
    ]


def test_what_has_not_changed_is_not_sent_again(beto, resource):
    path, change = resource
    tag = beto.get(path).headers["etag"]

    for sent in (tag, f"W/{tag}", f'"otro", {tag}', "*", *suffixed(tag)):
        answer = beto.get(path, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert not {"content-length", "content-type"} & answer.headers.keys()
        assert answer.headers["vary"] == "Authorization"
        assert answer.headers["cache-control"] == "private, no-cache"
    beto.patch(path, json=change)
    assert beto.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_change_makes_a_new_tag(beto, resource):
    path, change = resource
    tags = {beto.get(path).headers["etag"]}
    for _ in range(3):
        beto.patch(path, json=change)
        tags.add(beto.get(path).headers["etag"])
    assert len(tags) == 4


def test_a_change_of_what_moved_on_is_refused(beto, resource):
    path, change = resource
    tag = beto.get(path).headers["etag"]

    assert beto.patch(path, json=change, headers={"If-Match": tag}).status_code == 200
    for sent in (tag, '"otro"', f"W/{tag}", "", "2", *suffixed(tag)):
        problem(beto.patch(path, json=change, headers={"If-Match": sent}), 412, "version_distinta")
        problem(beto.delete(path, headers={"If-Match": sent}), 412, "version_distinta")
    again = beto.get(path).headers["etag"]
    assert beto.patch(path, json=change, headers={"If-Match": f'"otro", {again}'}).status_code == 200
    assert beto.delete(path, headers={"If-Match": "*"}).status_code == 200


def test_of_two_changes_of_one_version_one_succeeds(beto, resource):
    path, change = resource
    tag = beto.get(path).headers["etag"]
    statuses = []

    def patch():
        statuses.append(beto.patch(path, json=change, headers={"If-Match": tag}).status_code)

    for _ in range(10):
        threads = [threading.Thread(target=patch) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 412]
        statuses.clear()
        tag = beto.get(path).headers["etag"]


@pytest.mark.parametrize("tag", [b"-" * 60_000, b"-;" * 30_000, b"-gzip" * 12_000])
def test_a_tag_of_great_length_is_read_at_once(beto, resource, tag):
    """Trying every part of it as what a proxy added took minutes."""
    for sent in (b'"%b"' % tag, b'"%b' % tag):
        assert beto.get(resource[0], headers={b"If-None-Match": sent}).status_code == 200


def test_what_is_not_there_is_404_whatever_the_tag(beto):
    for method in ("GET", "PATCH", "DELETE"):
        body = {"venta": 1} if method == "PATCH" else None
        headers = {"If-Match": '"1"', "If-None-Match": '"1"'}
        problem(beto.request(method, "/venta/999", json=body, headers=headers), 404, "venta_inexistente")


def test_a_replacement_is_conditional_too(ana, beto):
    whole = {
        "username": "beto",
        "password": "una clave larga",
        "nombre": "Beto",
        "apellido": "Paz",
        "telefono": "2604538424",
        "correo": "beto@example.com",
    }
    tag = ana.get(f"/user/{beto.id}").headers["etag"]
    assert ana.put(f"/user/{beto.id}", json=whole, headers={"If-Match": tag}).status_code == 200
    problem(ana.put(f"/user/{beto.id}", json=whole, headers={"If-Match": tag}), 412, "version_distinta")
    now = ana.get(f"/user/{beto.id}").headers["etag"]
    for sent in ("*", now, f"W/{now}", f'"otro", {now}'):
        refused = ana.put(f"/user/{beto.id}", json=whole, headers={"If-None-Match": sent})
        problem(refused, 412, "version_distinta")
    assert ana.get(f"/user/{beto.id}").headers["etag"] == now
    assert ana.put(f"/user/{beto.id}", json=whole, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_tag_that_a_proxy_changed_still_counts(beto, resource, method):
    path, change = resource
    for change_by_proxy in range(6 if method == "PATCH" else 1):
        tag = suffixed(beto.get(path).headers["etag"])[change_by_proxy]
        body = change if method == "PATCH" else None
        assert beto.request(method, path, json=body, headers={"If-Match": tag}).status_code == 200


def test_a_read_of_another_version_is_refused(beto, resource):
    path = resource[0]
    tag = beto.get(path).headers["etag"]
    for method in ("GET", "HEAD"):
        for sent in (tag, "*", f"W/{tag}"):
            assert beto.request(method, path, headers={"If-Match": sent}).status_code == 200
        assert beto.request(method, path, headers={"If-Match": '"otro"'}).status_code == 412
    both = {"If-Match": '"otro"', "If-None-Match": tag}
    problem(beto.get(path, headers=both), 412, "version_distinta")
    assert beto.get(path, headers={"If-Match": tag, "If-None-Match": tag}).status_code == 304


def test_a_change_of_the_version_that_the_client_knows_is_refused(beto, resource):
    path, change = resource
    tag = beto.get(path).headers["etag"]
    for sent in ("*", tag, f'"otro", W/{tag}'):
        problem(beto.patch(path, json=change, headers={"If-None-Match": sent}), 412, "version_distinta")
        problem(beto.delete(path, headers={"If-None-Match": sent}), 412, "version_distinta")
    assert beto.get(path).headers["etag"] == tag
    assert beto.patch(path, json=change, headers={"If-None-Match": '"otro"'}).status_code == 200
    assert beto.patch(path, json=change, headers={"If-None-Match": tag}).status_code == 200


def test_a_tag_names_its_row(beto, carla):
    tags = [client.get("/user/me").headers["etag"] for client in (beto, carla)]
    assert tags == [f'"{client.id}-1"' for client in (beto, carla)]
    assert carla.get("/user/me", headers={"If-None-Match": tags[0]}).json()["username"] == "carla"
    refused = carla.patch("/user/me", json={"nombre": "Otra"}, headers={"If-Match": tags[0]})
    problem(refused, 412, "version_distinta")


def test_answers_differ_by_who_asks(beto):
    for path in ("/user/me", "/venta/", "/login/sesiones"):
        assert "Authorization" in beto.get(path).headers.get_list("vary", split_commas=True)
    assert beto.get("/venta/999").headers["cache-control"] == "no-store"
