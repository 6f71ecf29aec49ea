"""A stock OAuth client library at work, and what the API tells such clients of itself."""

import os
import shutil
import subprocess

import npm
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from conftest import NO_TLS, PASSWORD, problem

from core.checkout import CHECKOUT
from handlers.login_bodies import MFA_OTP

METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture
def client(beto, api):
    """Authlib's client, knowing no more than the metadata."""
    told = api.get(METADATA).json()
    with OAuth2Client(
        "app",
        token_endpoint=told["token_endpoint"],
        revocation_endpoint_auth_method="none",
        token_endpoint_auth_method="none",
        scope="offline_access",
        base_url=told["issuer"],
        metadata=told,
        verify=NO_TLS,
    ) as client:
        yield client


def test_it_logs_in_refreshes_and_revokes(client):
    first = client.fetch_token(username="beto", password=PASSWORD)
    assert client.get("/user/me").json()["username"] == "beto"

    second = client.refresh_token()
    assert second["refresh_token"] != first["refresh_token"]
    assert client.get("/user/me").status_code == 200

    told = client.metadata["metadata"]
    answer = client.revoke_token(told["revocation_endpoint"], token_type_hint="refresh_token")
    assert answer.status_code == 200
    assert client.get("/user/me").status_code == 401


def test_it_renews_by_itself_what_ran_out(client):
    token = client.fetch_token(username="beto", password=PASSWORD)
    client.token = token | {"expires_at": 1}

    assert client.get("/user/me").json()["username"] == "beto"
    assert client.token["refresh_token"] != token["refresh_token"]


def test_it_understands_a_refusal(client):
    with pytest.raises(OAuthError) as refused:
        client.fetch_token(username="beto", password="equivocada")
    assert refused.value.error == "invalid_grant"


@pytest.mark.parametrize("path", [METADATA, f"{METADATA}/"])
def test_the_metadata_names_what_is_there(api, path):
    base = str(api.base_url).rstrip("/")

    assert api.get(path).json() == {
        "issuer": base,
        "token_endpoint": f"{base}/login/",
        "revocation_endpoint": f"{base}/login/revocar",
        "service_documentation": f"{base}/docs",
        "response_types_supported": [],
        "grant_types_supported": ["password", "refresh_token", MFA_OTP],
        "scopes_supported": ["offline_access"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "ui_locales_supported": ["es"],
    }


def test_in_production_nobody_chooses_the_issuer(connect):
    production = {
        "APP_ENV": "production",
        "JWT_SECRET": "Hc0mhJ9Qy3cBvXz1w8RkT5uLpEoAdGfS",
        "BCRYPT_ROUNDS": "10",
    }
    answer = connect(**production).get(METADATA, headers={"Host": "malo.example"})
    detail = problem(answer, 404, "ruta_desconocida")["detail"]
    assert detail == "Este servicio no publica sus metadatos de OAuth: le falta PUBLIC_URL"
    named = connect(**production, PUBLIC_URL="https://api.example.com").get(
        METADATA, headers={"Host": "malo.example"}
    )
    assert named.json()["issuer"] == "https://api.example.com"


def test_a_lost_answer_ends_no_session(client, api):
    first = client.fetch_token(username="beto", password=PASSWORD)
    lost = api.post("/login/", data={"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})

    again = client.refresh_token()

    assert again["refresh_token"] == lost.json()["refresh_token"]
    assert client.refresh_token()["refresh_token"] != again["refresh_token"]


def test_it_understands_that_an_account_is_blocked(client, ana, beto):
    ana.patch(f"/user/{beto.id}", json={"bloqueado": True})
    with pytest.raises(OAuthError) as refused:
        client.fetch_token(username="beto", password=PASSWORD)
    assert refused.value.error == "invalid_grant"


@pytest.mark.parametrize(
    ("settings", "headers", "issuer"),
    [
        ({"PUBLIC_URL": "https://api.example.com/"}, {"Host": "otra"}, "https://api.example.com"),
        ({"TRUSTED_PROXIES": "1"}, {"Host": "a.b", "X-Forwarded-Proto": "https"}, "https://a.b"),
        ({}, {"Host": "a.b", "X-Forwarded-Proto": "https"}, "http://a.b"),
    ],
)
def test_the_issuer_is_where_clients_reach_it(connect, settings, headers, issuer):
    assert connect(**settings).get(METADATA, headers=headers).json()["issuer"] == issuer


@pytest.mark.slow
def test_a_strict_library_sees_every_refusal(request, ana, api, tmp_path):
    tools = npm.installed(request.config, "oauth", ["oauth4webapi@3.8.8"])
    (tmp_path / "node_modules").symlink_to(tools / "node_modules")
    story = shutil.copy(CHECKOUT / "tests" / "generated" / "oauth4webapi.mjs", tmp_path)
    environ = os.environ | {"API_URL": str(api.base_url).rstrip("/")}
    subprocess.run(["node", story], cwd=tmp_path, env=environ, check=True, timeout=60)
