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


def test_what_has_not_changed_is_not_sent_again(beto, resource):
    path, change = resource
    tag = beto.get(path).headers["etag"]

    for sent in (tag, f"W/{tag}", f'"otro", {tag}', "*"):
        answer = beto.get(path, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in answer.headers
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
    for sent in (tag, '"otro"', f"W/{tag}", "", "2"):
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
