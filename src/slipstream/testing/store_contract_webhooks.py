"""The suite that every `Store` passes: webhooks. Nothing is sent: events that it asks for never happen here."""

import pytest

from slipstream.entities import Webhook, WebhookEvent, WebhookStatus
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.store.base import Store
from slipstream.testing.store_contract import unique

URL = "https://1.1.1.1/in"
EVENT = WebhookEvent("budget_policy", "exceeded")


def new_webhook(store: Store, name: str = "hook") -> Webhook:
    return store.create_webhook(name, URL, [EVENT], "for people", "secret")


class WebhookContract:
    def test_a_new_webhook_is_read_back(self, store: Store) -> None:
        events = [WebhookEvent("prompt_tag", "set"), WebhookEvent("budget_policy", "exceeded")]
        made = store.create_webhook("hook", URL, events, "for people", "secret")
        assert store.get_webhook(made.webhook_id) == made
        assert (made.name, made.url, made.description) == ("hook", URL, "for people")
        assert made.status is WebhookStatus.ACTIVE
        assert made.events == sorted(events, key=str)  # as MLflow has them
        assert made.creation_timestamp == made.last_updated_timestamp > 0

    def test_names_may_repeat_and_ids_differ(self, store: Store) -> None:
        assert new_webhook(store).webhook_id != new_webhook(store).webhook_id

    def test_the_same_event_twice_is_one(self, store: Store) -> None:
        assert store.create_webhook("hook", URL, [EVENT, EVENT]).events == [EVENT]

    def test_it_may_begin_disabled(self, store: Store) -> None:
        made = store.create_webhook("hook", URL, [EVENT], status=WebhookStatus.DISABLED)
        assert store.get_webhook(made.webhook_id).status is WebhookStatus.DISABLED

    @pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "a\n", "a" * 64])
    def test_bad_names_are_refused(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidParameterError, match="name"):
            new_webhook(store, name)

    @pytest.mark.parametrize("name", ["a", "A.b_c-d", "0", "a" * 63])
    def test_good_names(self, store: Store, name: str) -> None:
        assert new_webhook(store, name).name == name

    @pytest.mark.parametrize(
        "url",
        [
            *(
                "http://1.1.1.1/",
                "ftp://1.1.1.1/",
                "not a url",
                "   ",
                "https://",
                "https:///x",
                "//1.1.1.1/x",
            ),
            *("https://1.1.1.1:99999/", "https://1.1.1.1:x/", "https://[::1/", "https://1.1.1.1/\r\nA: b"),
            *("https://127.1/", "https://0177.0.0.1/", "https://2130706433/", "https://0x7f.1/"),
            *(
                "https://127.0.0.1/",
                "https://169.254.169.254/",
                "https://[::1]/",
                "https://[::ffff:10.0.0.1]/",
            ),
            "https://1.1.1.1/" + "x" * 2000,
        ],
    )
    def test_bad_urls_are_refused(self, store: Store, url: str) -> None:
        with pytest.raises(InvalidParameterError):
            store.create_webhook("hook", url, [EVENT])
        made = new_webhook(store)
        with pytest.raises(InvalidParameterError):
            store.update_webhook(made.webhook_id, url=url)
        assert store.get_webhook(made.webhook_id).url == URL

    def test_unknown_events_are_refused(self, store: Store) -> None:
        for events in (
            [],
            [WebhookEvent("model_version", "set")],
            [EVENT, WebhookEvent("registered_model", "deleted")],
        ):
            with pytest.raises(InvalidParameterError, match=r"event|action"):
                store.create_webhook("hook", URL, events)

    def test_update_changes_what_is_given_only(self, store: Store) -> None:
        made = new_webhook(store)
        other = [WebhookEvent("prompt_alias", "deleted"), WebhookEvent("prompt_tag", "deleted")]
        changed = store.update_webhook(made.webhook_id, events=other, status=WebhookStatus.DISABLED)
        assert (changed.events, changed.status) == (other, WebhookStatus.DISABLED)
        assert (changed.name, changed.url, changed.description) == (made.name, made.url, made.description)
        assert changed.last_updated_timestamp >= changed.creation_timestamp == made.creation_timestamp
        assert store.get_webhook(made.webhook_id) == changed
        again = store.update_webhook(made.webhook_id, "new", "", "https://1.1.1.1/new", secret="other")  # noqa: S106
        assert (again.name, again.description, again.url) == ("new", None, "https://1.1.1.1/new")
        assert again.events == other

    def test_deleted_webhooks_are_gone(self, store: Store) -> None:
        made = new_webhook(store)
        store.delete_webhook(made.webhook_id)
        for call in (store.get_webhook, store.delete_webhook, store.test_webhook, store.update_webhook):
            with pytest.raises(NotFoundError, match=made.webhook_id):
                call(made.webhook_id)

    def test_pages_hold_all_of_them_newest_first(self, store: Store) -> None:
        made = [new_webhook(store, unique("w")[:20]) for _ in range(5)]
        found: list[Webhook] = []
        token: str | None = None
        while True:
            page = store.search_webhooks(2, token)
            assert len(page.items) <= 2
            found += page.items
            token = page.token
            if token is None:
                break
        assert found[:5] == made[::-1]
        assert len({each.webhook_id for each in found}) == len(found)
        assert store.search_webhooks(1000).items == found

    def test_bad_pages_are_refused(self, store: Store) -> None:
        for size in (-1, 1001):
            with pytest.raises(InvalidParameterError, match="max_results"):
                store.search_webhooks(size)
        with pytest.raises(InvalidParameterError, match="page token"):
            store.search_webhooks(5, "junk")
