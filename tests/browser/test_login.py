"""Login by OpenID Connect, against a provider that speaks the protocol on this machine."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from kdcore.store import Store
from tests.browser.server import Server

pytestmark = pytest.mark.browser
CLIENT, SECRET = "apprentice", "of the client"
PEOPLE = {"ada": {"name": "Ada Lovelace", "email": "ada@example.org", "email_verified": True},
          "grace": {"name": "Grace Hopper", "email": "grace@example.org", "email_verified": True},
          "eve": {"name": "Eve", "email": "ada@example.org", "email_verified": False}}


class Provider(BaseHTTPRequestHandler):
    """An OpenID Connect provider (authorisation code flow) at which everybody may say who they are."""

    def do_GET(self):
        path, asked = urlsplit(self.path).path, {name: value[0] for name, value in parse_qs(
            urlsplit(self.path).query).items()}
        issuer = self.server.issuer
        if path == "/authorize":
            assert asked["client_id"] == CLIENT and asked["response_type"] == "code" and "openid" in asked["scope"]
            links = []
            for person in PEOPLE:
                code = f"{person}-{len(self.server.nonces)}"
                self.server.nonces[code] = asked.get("nonce")
                back = urlencode({"code": code, "state": asked["state"]})
                links.append(f"<a href='{asked['redirect_uri']}?{back}'>{person}</a>")
            return self.answer("<br>".join(links), "text/html")
        return self.answer({
            "/.well-known/openid-configuration": {
                "issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/keys", "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256"], "subject_types_supported": ["public"]},
            "/keys": {"keys": [self.server.key.as_dict(private=False)]}}.get(path, {}))

    def do_POST(self):
        from joserfc import jwt

        told = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        secret = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        assert secret == f"{CLIENT}:{SECRET}" and told["grant_type"] == ["authorization_code"]
        (code,) = told["code"]
        nonce, person, now = self.server.nonces.pop(code), code.split("-")[0], int(time.time())  # good for once
        claims = {"iss": self.server.issuer, "aud": CLIENT, "sub": f"number of {person}", "iat": now, "exp": now + 600,
                  "nonce": nonce, **PEOPLE[person]}
        token = jwt.encode({"alg": "RS256", "kid": self.server.key.kid}, claims, self.server.key)
        self.answer({"access_token": "unused", "token_type": "Bearer", "id_token": token})

    def answer(self, content, kind="application/json"):
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, browser):
    """A server on which people log in and see only what is theirs."""
    from joserfc.jwk import RSAKey

    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    provider.issuer, provider.nonces = f"http://127.0.0.1:{provider.server_port}", {}
    provider.key = RSAKey.generate_key(2048, {"kid": "one"})
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "settings.toml").write_text('people = "login"\nsees = "own"\nslots = 1\n')
    running = Server(folder, STREAMLIT_SECRETS_FILES=str(folder / "secrets.toml"), KD_SETTINGS="")
    (folder / "secrets.toml").write_text(
        f'[auth]\nredirect_uri = "{running.url}/oauth2callback"\ncookie_secret = "{"random " * 6}"\n'
        f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
        f'server_metadata_url = "{provider.issuer}/.well-known/openid-configuration"\n')
    running.start()
    yield running
    running.end()
    provider.shutdown()


@pytest.fixture
def visitors(browser, guarded):
    """Makes browsers, each with cookies of its own, in which somebody has logged in."""
    contexts = []

    def visitor(person):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}, base_url=guarded.url))
        page = contexts[-1].new_page()
        page.goto("/")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name=person, exact=True).click()
        expect(page.get_by_text(PEOPLE[person]["name"])).to_be_visible(timeout=30_000)
        return page

    yield visitor
    for context in contexts:
        context.close()


def test_people_who_log_in_have_what_is_theirs_and_see_nothing_else(visitors, guarded):
    ada = visitors("ada")
    ada.get_by_role("button", name="Run the one-minute demo").click()
    expect(ada.get_by_test_id("stProgress")).to_be_visible(timeout=60_000)
    store = Store(guarded.store)
    (demo,) = store.experiments()
    store.queue.stop([run["id"] for run in store.runs()])
    assert {run["owner"] for run in store.runs()} == {"ada@example.org"}
    assert store.experiments("ada@example.org") == [demo]

    ada.goto("/runs")  # a cookie says who she is
    expect(ada.get_by_text("Ada Lovelace")).to_be_visible(timeout=30_000)
    expect(ada.get_by_role("combobox", name="Experiment")).to_have_value(demo, timeout=30_000)
    for person in ("grace", "eve"):  # who says that Ada's address is hers, and has not shown it
        other = visitors(person)
        other.goto("/runs")
        expect(other.get_by_text("There is nothing to see yet")).to_be_visible(timeout=30_000)
        other.goto(f"/?demo={quote_plus(demo)}")
        expect(other.get_by_text("This demo is not in this store")).to_be_visible(timeout=30_000)

    ada.get_by_role("button", name="Log out").click()
    expect(ada.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
    assert "Ada" not in ada.locator("body").inner_text()


def test_a_page_shows_a_stranger_nothing(browser, guarded):
    page = browser.new_page(base_url=guarded.url)
    for path in ("/", "/runs", "/queue", "/train", "/sensitivity", "/methods"):
        page.goto(path)
        expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
        expect(page.get_by_text("This server asks who you are")).to_be_visible()
        assert page.get_by_test_id("stMain").get_by_test_id("stMarkdownContainer").count() == 3  # with the button's
    page.close()
