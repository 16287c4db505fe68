"""The page of a version: what it is, and asking it where it is served, by a form and by a chat box."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from models_setup import ModelsSetup
from server_process import ServerProcess
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import close_all

OpenPage = Callable[..., Page]
VERSION = "/models/house-prices/versions/1"


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[ModelsSetup]:
    setup = ModelsSetup(tmp_path_factory.mktemp("models"))
    setup.serve("models:/house-prices@champion", "models:/tensor-sum/1")
    yield setup
    close_all()
    setup.stop()


@pytest.fixture(scope="module")
def server(setup: ModelsSetup) -> ServerProcess:
    return setup.server


def open_version(open_page: OpenPage, path: str = VERSION, **options: object) -> Page:
    page = open_page(path, **options)
    expect(page.locator("#try :is(fieldset, .chat)").first).to_be_visible()
    return page


def predictions(page: Page) -> list[str]:
    expect(page.get_by_role("heading", name="Answer in")).to_be_visible()
    return page.locator(".answer td").all_inner_texts()


@pytest.mark.parametrize(
    "path", [VERSION, "/models/tensor-sum/versions/1", "/models/talker/versions/1", "/serving"]
)
def test_axe_finds_nothing(open_page: OpenPage, violations: Callable[[Page], list[str]], path: str) -> None:
    page = open_page(path)
    expect(page.locator("#try :is(fieldset, .chat), .tile").first).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)
    for scheme in ("light", "dark"):
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)

            assert violations(page) == [], (scheme, width)
            assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
            assert page.evaluate("main.scrollWidth - main.clientWidth") <= 0


def test_it_tells_what_the_version_is(open_page: OpenPage) -> None:
    page = open_version(open_page)

    signature = page.get_by_role("region", name="Signature")
    expect(signature.get_by_role("row", name="a double yes").first).to_be_visible()
    expect(signature.get_by_role("row", name='mode string "plain"')).to_be_visible()
    about = page.get_by_role("region", name="About")
    expect(about.get_by_role("link", name="fit-0")).to_be_visible()
    expect(about).to_contain_text("python_function")
    expect(page.get_by_role("region", name="Requirements", exact=True)).to_contain_text("six==1.15")
    expect(page.get_by_role("region", name="Files")).to_contain_text("MLmodel")
    expect(page.get_by_role("region", name="Metrics of the run")).to_contain_text("rmse")
    expect(page.get_by_role("region", name="Served")).to_contain_text("this version")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Registered as version 1")
    page.get_by_role("button", name="curl", exact=True).click()
    expect(page.get_by_role("region", name="curl", exact=True)).to_contain_text(
        '"columns":["a","b","n","ok"]'
    )
    page.get_by_role("button", name="Serve", exact=True).click()
    expect(page.get_by_role("region", name="Serve", exact=True)).to_contain_text(
        "slipstream models serve -m models:/house-prices@champion"
    )
    assert page.title() == "house-prices v1 · slipstream"


def test_a_form_made_from_the_signature_asks_the_model_by_keys_alone(open_page: OpenPage) -> None:
    page = open_version(open_page)
    page.keyboard.press("t")
    expect(page.get_by_label("a double")).to_be_focused()
    expect(page.get_by_label("a double")).to_have_value("1.5")  # from the logged example
    page.keyboard.press("Control+a")
    page.keyboard.type("21")
    page.keyboard.press("Control+Enter")

    assert predictions(page) == ["42"]


def test_rows_params_and_types(open_page: OpenPage) -> None:
    page = open_version(open_page)
    page.get_by_role("button", name="Add a row").click()
    page.get_by_label("a double").nth(1).fill("-2")
    page.get_by_label("k long").fill("10")
    page.get_by_role("button", name="Send").click()
    assert predictions(page) == ["15", "-20"]

    page.get_by_label("n long").first.fill("1.5")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("n is '1.5'; it must be a whole number")
    expect(page.get_by_label("n long").first).to_have_attribute("aria-invalid", "true")


def test_the_request_can_be_changed_as_json_and_copied_as_curl(open_page: OpenPage) -> None:
    page = open_version(open_page)
    page.get_by_role("button", name="As JSON").click()
    request = page.get_by_label("Request as JSON")
    assert '"mode": "plain"' in request.input_value()
    request.fill('{"dataframe_records": [{"a": 4, "b": "x", "n": 1, "ok": true}]}')
    page.get_by_role("button", name="Send").click()
    assert predictions(page) == ["8"]
    page.get_by_text("This request as curl").click()
    expect(page.get_by_role("region", name="This request as curl")).to_contain_text("dataframe_records")
    request.fill("[1")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("JSON")


def test_what_the_model_says_went_wrong(open_page: OpenPage) -> None:
    page = open_version(open_page, faults=False)
    page.get_by_label("b string").fill("fail")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("b must not be fail")


def test_a_tensor_is_given_as_json(open_page: OpenPage) -> None:
    page = open_version(open_page, "/models/tensor-sum/versions/1")
    page.get_by_label("input 1").fill("[[1, 2, 3], [4, 5, 6]]")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("region", name="Answer", exact=True)).to_have_text(
        "[ 6, 15 ]", use_inner_text=False
    )


def test_a_version_that_another_takes_the_place_of(open_page: OpenPage) -> None:
    page = open_version(open_page, "/models/house-prices/versions/2")
    expect(page.locator("#try")).to_contain_text("It serves version 1 of house-prices, not this one.")


def test_a_server_that_has_the_model_under_another_name(open_page: OpenPage, setup: ModelsSetup) -> None:
    page = open_version(open_page)
    page.get_by_label("Scoring server").select_option("fake")
    expect(page.locator("#try")).to_contain_text("It serves nothing named house-prices.")
    expect(page.locator("#try fieldset")).to_have_count(0)  # nothing that is another model is asked by itself
    page.get_by_label("It serves nothing named house-prices. Ask").select_option("m")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Answer in")).to_be_visible()
    assert setup.fake.asked[-1].path == "/models/m/invocations"
    page.reload()  # it was used last, but one that has the model goes before
    expect(page.get_by_label("Scoring server")).to_have_value("real")
    expect(page.locator("#try fieldset").first).to_be_visible()


def test_a_chat_streams_and_can_be_stopped(open_page: OpenPage, setup: ModelsSetup) -> None:
    setup.fake.go_on.clear()
    page = open_version(open_page, "/models/talker/versions/1")
    page.get_by_text("System prompt and parameters").click()
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("temperature").fill("0.5")
    page.get_by_role("textbox", name="Message").fill("one wait two")
    page.keyboard.press("Enter")
    answer = page.locator(".said.assistant").last
    expect(answer).to_contain_text("one")  # while the model is held back
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    assert "two" not in answer.inner_text()
    setup.fake.go_on.set()
    expect(answer).to_contain_text("one wait two")
    expect(answer).to_contain_text("5 tokens")
    asked = [each.body for each in setup.fake.asked if each.path == "/v1/chat/completions"][-1]
    assert asked["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one wait two"},
    ]
    assert (asked["model"], asked["temperature"], asked["stream"]) == ("talker", 0.5, True)

    setup.fake.go_on.clear()
    setup.fake.was_left.clear()
    page.get_by_role("textbox", name="Message").fill("go on for-ever")
    page.keyboard.press("Enter")
    expect(page.locator(".said.assistant").last).to_contain_text("go on")
    page.keyboard.press("Escape")
    expect(page.locator(".said.assistant").last).to_contain_text("stopped")
    assert setup.fake.was_left.wait(20)
    setup.fake.go_on.set()
    page.get_by_role("textbox", name="Message").fill("again")
    page.keyboard.press("Enter")
    expect(page.locator(".said.assistant").last).to_contain_text("again")
    asked = [each.body for each in setup.fake.asked if each.path == "/v1/chat/completions"][-1]
    assert [message["role"] for message in asked["messages"]] == [
        "system",
        *("user", "assistant", "user", "assistant", "user"),
    ]


def test_promote_and_try_what_took_over_by_keys_alone(open_page: OpenPage, client: SlipstreamClient) -> None:
    page = open_version(open_page, "/models/house-prices/versions/3")
    expect(page.locator("#try")).to_contain_text("It serves version 1 of house-prices, not this one.")
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Move @champion from v1 to v3")).to_be_focused()
    page.keyboard.press("Enter")
    served = page.get_by_role("region", name="Served")
    expect(served).to_contain_text("this version", timeout=40_000)  # it has swapped
    page.keyboard.press("t")
    page.keyboard.press("Control+a")
    page.keyboard.type("3")
    page.keyboard.press("Control+Enter")
    assert predictions(page) == ["6"]
    client.set_registered_model_alias("house-prices", "champion", "1")
    page.goto(page.url.split("/models")[0] + "/serving")  # which asks again and again
    expect(page.get_by_role("row", name="house-prices v1 real")).to_be_visible(timeout=40_000)


def test_how_scoring_servers_are(open_page: OpenPage, setup: ModelsSetup) -> None:
    page = open_page("/serving")
    expect(page.get_by_role("heading", name="real (well)")).to_be_visible()
    expect(page.get_by_role("heading", name="fake (well)")).to_be_visible()
    line = page.get_by_role("row", name="m v3 fake")
    for text in ("100", "6", "4", "7", "33"):
        expect(line.get_by_role("cell", name=text, exact=True)).to_be_visible()
    expect(line.get_by_role("cell", name="200 ms")).to_be_visible()
    page.get_by_role("row", name="house-prices v1 real").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Version 1")).to_be_visible()


def test_a_version_that_is_not_there(open_page: OpenPage) -> None:
    page = open_page("/models/house-prices/versions/99", faults=False)
    expect(page.get_by_role("heading", name="There is no version 99 of house-prices")).to_be_visible()


def test_a_server_without_scoring_servers_says_how_to_have_some(
    open_page: OpenPage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = ServerProcess(tmp_path_factory.mktemp("bare"), "--durability", "normal")
    try:
        page = open_page("/serving", url=server.url)
        expect(page.get_by_role("heading", name="No scoring servers are known here")).to_be_visible()
        expect(page.get_by_text("--serving-url prod=http://127.0.0.1:5001")).to_be_visible()
        page.close()  # before its server ends, of which it would complain
    finally:
        server.stop()


def test_a_chat_goes_on_after_what_went_wrong(open_page: OpenPage, setup: ModelsSetup) -> None:
    """What is sent goes by turns, whatever became of the answers; the last message is asked again, or another way."""
    setup.fake.go_on.clear()
    page = open_version(open_page, "/models/talker/versions/1", faults=False)
    message = page.get_by_role("textbox", name="Message")
    answer = page.locator(".said.assistant").last
    message.fill("begin cut-off never")
    page.keyboard.press("Enter")
    expect(answer.get_by_role("alert")).to_contain_text("cut before the answer was whole")
    expect(answer).to_contain_text("begin")
    page.route("**/serving/try", lambda route: route.abort())
    message.fill("lost")
    page.keyboard.press("Enter")
    expect(answer.get_by_role("alert")).to_contain_text("does not answer")
    page.unroute("**/serving/try")

    page.get_by_role("button", name="Ask again").click()
    expect(answer).to_contain_text("5 tokens")
    expect(page.locator(".said.user")).to_have_text(["You: begin cut-off never", "You: lost"])
    expect(page.get_by_role("status").filter(has_text="The model: lost")).to_have_count(1)
    page.get_by_role("button", name="Edit the last message").click()
    expect(message).to_be_focused()
    expect(message).to_have_value("lost")
    message.fill("found")
    page.keyboard.press("Enter")
    expect(answer).to_contain_text("found")
    expect(answer).to_contain_text("5 tokens")
    asked = [each.body for each in setup.fake.asked if each.path == "/v1/chat/completions"]
    for each in asked[-2:]:
        assert [message["role"] for message in each["messages"]] == ["user", "assistant", "user"]
    assert [message["content"] for message in asked[-1]["messages"]] == [
        "begin cut-off never",
        "begin",
        "found",
    ]


def test_a_signature_with_odd_names_and_long_numbers_is_shown(
    open_page: OpenPage, client: SlipstreamClient, tmp_path: Path
) -> None:
    inputs = [
        {"name": "constructor", "type": "string", "required": False},
        {"name": "__proto__", "type": "long"},
    ]
    params = [{"name": "seed", "type": "long", "default": 2**53 + 1, "shape": None}]
    signature = (
        f"signature: {{inputs: {json.dumps(json.dumps(inputs))}, params: {json.dumps(json.dumps(params))}}}"
    )
    (tmp_path / "MLmodel").write_text(f"flavors: {{python_function: {{loader_module: x}}}}\n{signature}\n")
    run_id = client.create_run("0").info.run_id
    client.log_artifacts(run_id, str(tmp_path), "model")
    client.create_registered_model("odd")
    client.create_model_version("odd", f"runs:/{run_id}/model", run_id)
    page = open_page("/models/odd/versions/1")
    expect(page.get_by_role("row", name="seed long 9007199254740993")).to_be_visible()
    page.get_by_label("Scoring server").select_option("fake")
    page.get_by_label("It serves nothing named odd").select_option("m")
    page.locator("#try").get_by_label("__proto__").fill("5")
    page.locator("#try").get_by_text("This request as curl").click()
    expect(page.locator("#try pre").last).to_contain_text(
        '"columns":["__proto__"],"data":[[5]]},"params":{"seed":9007199254740993}'
    )
