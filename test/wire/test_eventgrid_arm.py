"""Topics and event subscriptions as Azure's management SDK makes, changes and deletes them."""

import http.server
import queue
import threading

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.eventgrid import EventGridManagementClient, models

from eventgrid import KEY, SCOPE, SUBSCRIPTION, endpoint, event_grid, stored
from sdks import Anybody


@pytest.fixture
def manage(target):
    client = EventGridManagementClient(Anybody(), SUBSCRIPTION, base_url=target.http)
    yield client
    client.close()


def test_the_life_of_a_topic(manage, js, target, unique):
    name = unique()
    made = manage.topics.begin_create_or_update(
        "dev", name, models.Topic(location="westeurope"), enforce_https=False).result()
    assert made.provisioning_state == "Succeeded" and made.endpoint == endpoint(target, name)
    js.call("publish", endpoint=made.endpoint, key=KEY, schema="EventGrid", events=[event_grid(1)])
    assert stored(target, name, 1)[0]["headers"]["ce_source"] == f"/topics/{name}"
    assert name in [t.name for t in manage.topics.list_by_resource_group(
        "dev", enforce_https=False)]
    manage.topics.begin_delete("dev", name, enforce_https=False).result()
    with pytest.raises(ResourceNotFoundError):
        manage.topics.get("dev", name, enforce_https=False)


def destination(kind, **properties):
    return {"endpointType": kind, "properties": properties}


def test_the_life_of_an_event_subscription(manage, topic):
    scope = f"{SCOPE}/{topic}"
    wanted = models.EventSubscription(
        destination=models.ServiceBusQueueEventSubscriptionDestination(
            resource_id="/subscriptions/x/resourceGroups/y/providers/Microsoft.ServiceBus"
                        "/namespaces/z/queues/orders"),
        filter=models.EventSubscriptionFilter(
            included_event_types=["Car.Sold"], subject_begins_with="cars/",
            advanced_filters=[models.NumberGreaterThanAdvancedFilter(key="data.n", value=5)]),
        event_delivery_schema="CloudEventSchemaV1_0", labels=["a", "b"],
        retry_policy=models.RetryPolicy(max_delivery_attempts=7, event_time_to_live_in_minutes=60),
        dead_letter_destination=models.StorageBlobDeadLetterDestination(
            resource_id="/subscriptions/x/storageAccounts/acc", blob_container_name="dead"))
    made = manage.event_subscriptions.begin_create_or_update(
        scope, "orders", wanted, enforce_https=False).result()
    assert made.name == "orders" and made.provisioning_state == "Succeeded"
    assert made.destination.resource_id.endswith("/queues/orders")
    assert made.filter.advanced_filters[0].value == 5
    assert made.retry_policy.max_delivery_attempts == 7
    assert made.retry_policy.event_time_to_live_in_minutes == 60
    assert sorted(made.labels) == ["a", "b"]
    assert made.dead_letter_destination.blob_container_name == "dead"
    changed = manage.event_subscriptions.begin_update(
        scope, "orders", models.EventSubscriptionUpdateParameters(labels=["c"]),
        enforce_https=False).result()
    assert changed.labels == ["c"] and changed.retry_policy.max_delivery_attempts == 7
    listed = manage.event_subscriptions.list_by_resource(
        "dev", "Microsoft.EventGrid", "topics", topic, enforce_https=False)
    assert [s.name for s in listed] == ["orders"]
    manage.event_subscriptions.begin_delete(scope, "orders", enforce_https=False).result()
    with pytest.raises(ResourceNotFoundError):
        manage.event_subscriptions.get(scope, "orders", enforce_https=False)


WRONG = [
    ({"destination": destination("StorageQueue", resourceId="/x")}, "StorageQueue"),
    ({"destination": destination("AzureFunction", resourceId="/x/f")}, "/functions/NAME"),
    ({"destination": destination("ServiceBusQueue", resourceId="/x")}, "/queues/NAME"),
    ({"destination": destination("WebHook")}, "endpointUrl"),
    ({}, "destination"),
    ({"destination": destination("EventHub", resourceId="/eventhubs/h"), "colour": 1}, "colour"),
    ({"destination": destination("EventHub", resourceId="/eventhubs/h"),
      "retryPolicy": {"maxDeliveryAttempts": 31}}, "maxDeliveryAttempts"),
    ({"destination": destination("EventHub", resourceId="/eventhubs/h"),
      "retryPolicy": {"eventTimeToLiveInMinutes": "60"}}, "whole number"),
    ({"destination": destination("EventHub", resourceId="/eventhubs/h"),
      "filter": {"advancedFilters": [{"operatorType": "NumberIs", "key": "data.a", "value": 1}]}},
     "NumberIn"),
    ({"destination": destination("EventHub", resourceId="/eventhubs/h"),
      "eventDeliverySchema": "CustomEventSchema"}, "CustomEventSchema"),
]


@pytest.mark.parametrize("properties,word", WRONG, ids=[word for _, word in WRONG])
def test_what_is_wrong_with_a_subscription_is_said(target, topic, properties, word):
    answer = requests.put(
        f"{target.http}{SCOPE}/{topic}/providers/Microsoft.EventGrid/eventSubscriptions/s",
        params={"api-version": "2022-06-15"}, json={"properties": properties}, timeout=30)
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


def test_an_event_hub_destination_is_a_topic_of_weir(js, manage, target, topic, unique):
    hub = unique("hub")
    made = requests.put(f"{target.http}{SCOPE}/{hub}", json={"location": "x"}, timeout=30)
    assert made.status_code == 201, made.text
    manage.event_subscriptions.begin_create_or_update(
        f"{SCOPE}/{topic}", "to-hub", models.EventSubscription(
            destination=models.EventHubEventSubscriptionDestination(
                resource_id=f"/subscriptions/x/namespaces/n/eventhubs/{hub}"),
            filter=models.EventSubscriptionFilter(subject_ends_with="/1")),
        enforce_https=False).result()
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="EventGrid",
            events=[event_grid(i) for i in range(3)])
    assert stored(target, hub, 1)[0]["headers"]["ce_id"] == "id-1"


@pytest.fixture
def calls():
    """A function that somebody else serves: its address, and the headers of the calls that came."""
    came = queue.Queue()

    class Function(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            came.put(dict(self.headers))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Function)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", came
    server.shutdown()
    server.server_close()


def test_an_azure_function_destination_is_a_function_of_weir(js, manage, target, topic, unique,
                                                             calls):
    url, came = calls
    function, scope = unique("function"), f"{SCOPE}/{topic}"
    made = requests.put(f"{target.http}/api/v1/functions/{function}", timeout=30, json={
        "apiVersion": "weir/v1alpha1", "kind": "Function", "metadata": {"name": function},
        "spec": {"url": url}})
    assert made.status_code == 201, made.text
    resource = (f"/subscriptions/x/resourceGroups/y/providers/Microsoft.Web/sites/app"
                f"/functions/{function}")
    manage.event_subscriptions.begin_create_or_update(
        scope, "call", models.EventSubscription(
            destination=models.AzureFunctionEventSubscriptionDestination(
                resource_id=resource, max_events_per_batch=20,
                preferred_batch_size_in_kilobytes=128)),
        enforce_https=False).result()
    got = manage.event_subscriptions.get(scope, "call", enforce_https=False).destination
    assert isinstance(got, models.AzureFunctionEventSubscriptionDestination)
    assert (got.resource_id, got.max_events_per_batch, got.preferred_batch_size_in_kilobytes) == (
        resource, 20, 128)
    changed = manage.event_subscriptions.begin_update(
        scope, "call", models.EventSubscriptionUpdateParameters(labels=["c"]),
        enforce_https=False).result()
    assert changed.destination.max_events_per_batch == 20
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="EventGrid",
            events=[event_grid(1)])
    headers = {name.lower(): value for name, value in came.get(timeout=30).items()}
    assert (headers["ce-id"], headers["ce-type"]) == ("id-1", "Car.Sold")
    manage.event_subscriptions.begin_delete(scope, "call", enforce_https=False).result()
    assert requests.delete(f"{target.http}/api/v1/functions/{function}",
                           timeout=30).status_code == 204
