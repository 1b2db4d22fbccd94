"""confluent-kafka (librdkafka 2) behind the verbs of clients.py."""

import sys

from common import input_end, librdkafka_security, main, records_of, say, text
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource,
                                   NewPartitions, NewTopic, ResourceType, ScramCredentialInfo,
                                   ScramMechanism, UserScramCredentialDeletion,
                                   UserScramCredentialUpsertion)


KEPT = []


def settings(bootstrap):
    return {"bootstrap.servers": bootstrap, **librdkafka_security()}


def admin(bootstrap):
    """Kept to the end of the process: a client that is collected fails its requests in flight."""
    KEPT.append(AdminClient(settings(bootstrap)))
    return KEPT[-1]


def all_done(futures):
    for future in futures.values():
        future.result(30)


def create_topic(bootstrap, args):
    wanted = NewTopic(args["topic"], num_partitions=int(args["partitions"]), replication_factor=1)
    all_done(admin(bootstrap).create_topics([wanted]))


def create_partitions(bootstrap, args):
    all_done(admin(bootstrap).create_partitions([NewPartitions(args["topic"], int(args["count"]))]))


def delete_topic(bootstrap, args):
    all_done(admin(bootstrap).delete_topics([args["topic"]]))


def list_topics(bootstrap, _):
    say(topics=sorted(admin(bootstrap).list_topics(timeout=30).topics))


def describe_topic(bootstrap, args):
    found = admin(bootstrap).list_topics(args["topic"], timeout=30).topics[args["topic"]]
    if found.error:
        raise KafkaException(found.error)
    say(partitions=len(found.partitions))


def list_groups(bootstrap, _):
    found = admin(bootstrap).list_consumer_groups().result(30)
    assert not found.errors, found.errors
    say(groups=sorted(group.group_id for group in found.valid))


def describe_group(bootstrap, args):
    found = admin(bootstrap).describe_consumer_groups([args["group"]])[args["group"]].result(30)
    # "STABLE" -> "Stable", as the protocol has it
    say(state=found.state.name.capitalize(), members=len(found.members))


def delete_group(bootstrap, args):
    all_done(admin(bootstrap).delete_consumer_groups([args["group"]]))


def group_offsets(bootstrap, args):
    asked = ConsumerGroupTopicPartitions(args["group"])
    found = admin(bootstrap).list_consumer_group_offsets([asked])[args["group"]].result(30)
    say(offsets={str(part.partition): part.offset for part in found.topic_partitions})


def describe_config(bootstrap, args):
    asked = ConfigResource(ResourceType.TOPIC, args["topic"])
    found = admin(bootstrap).describe_configs([asked])[asked].result(30)
    say(value=found[args["setting"]].value)


def alter_config(bootstrap, args):
    entry = ConfigEntry(args["setting"], args["value"],
                        incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource(ResourceType.TOPIC, args["topic"], incremental_configs=[entry])
    all_done(admin(bootstrap).incremental_alter_configs([asked]))


def describe_cluster(bootstrap, _):
    say(brokers=len(admin(bootstrap).describe_cluster().result(30).nodes))


def mechanism(args):
    return ScramMechanism[args["mechanism"].replace("-", "_")]


def put_password(bootstrap, args):
    how = ScramCredentialInfo(mechanism(args), int(args["iterations"]))
    wanted = UserScramCredentialUpsertion(args["user"], how, password=args["password"].encode())
    all_done(admin(bootstrap).alter_user_scram_credentials([wanted]))


def drop_password(bootstrap, args):
    wanted = UserScramCredentialDeletion(args["user"], mechanism(args))
    all_done(admin(bootstrap).alter_user_scram_credentials([wanted]))


def list_passwords(bootstrap, _):
    found = admin(bootstrap).describe_user_scram_credentials().result(30)
    say(users={user: {info.mechanism.name.replace("_", "-"): info.iterations
                      for info in one.scram_credential_infos} for user, one in found.items()})


def delete_records(bootstrap, args):
    where = TopicPartition(args["topic"], int(args["partition"]), int(args["offset"]))
    all_done(admin(bootstrap).delete_records([where]))


def produce(bootstrap, args):
    idempotent = args.get("idempotent") == "true"
    producer = Producer(settings(bootstrap) | {
        "compression.type": args["codec"], "linger.ms": 50, "enable.idempotence": idempotent,
    })
    failed = []

    def delivered(error, message):
        if error:
            failed.append(error)
        else:
            say(partition=message.partition(), offset=message.offset())

    partition = {"partition": int(args["partition"])} if "partition" in args else {}
    for key, value in records_of(args):
        producer.produce(args["topic"], key=key, value=value, headers={"wire": args["name"]},
                         on_delivery=delivered, **partition)
    left = producer.flush(30)
    if failed or left:
        sys.exit(f"{left} records left, failed: {failed}")


def show(message, **more):
    say(topic=message.topic(), partition=message.partition(), offset=message.offset(),
        timestamp=message.timestamp()[1], key=text(message.key()), value=text(message.value()),
        headers=[[name, text(value)] for name, value in message.headers() or []], **more)


def checked(message):
    if message is not None and message.error():
        raise KafkaException(message.error())
    return message


def read(consumer, count):
    while count > 0:
        message = checked(consumer.poll(0.5))
        if message is not None:
            show(message)
            count -= 1
    consumer.close()


def reader(bootstrap):
    return Consumer(settings(bootstrap) | {
        "group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "error",
    })


def consume(bootstrap, args):
    consumer = reader(bootstrap)
    where = TopicPartition(args["topic"], int(args["partition"]), int(args["offset"]))
    consumer.assign([where])
    read(consumer, int(args["count"]))


def seek(bootstrap, args):
    consumer = reader(bootstrap)
    where = TopicPartition(args["topic"], int(args["partition"]), int(args["timestamp"]))
    found = consumer.offsets_for_times([where], timeout=30)[0]
    if found.error:
        raise KafkaException(found.error)
    say(offset=found.offset)
    consumer.assign([found])
    read(consumer, int(args["count"]))


def group(bootstrap, args):
    ended = input_end()
    more = {"group.instance.id": args["instance"]} if "instance" in args else {}
    consumer = Consumer(settings(bootstrap) | {
        "group.id": args["group"], "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500, "topic.metadata.refresh.interval.ms": 1000,
        "partition.assignment.strategy": args.get("strategy", "range"), **more})
    consumer.subscribe(args["topics"].split(","))
    known = None
    while not ended.is_set():
        message = checked(consumer.poll(0.1))
        assigned = sorted([part.topic, part.partition] for part in consumer.assignment())
        if assigned != known:
            known = assigned
            say(event="assigned", partitions=assigned)
        if message is not None:
            show(message, event="record")
            consumer.commit(message, asynchronous=True)
    consumer.close()
    say(event="closed")


main({
    "create-topic": create_topic,
    "create-partitions": create_partitions,
    "delete-topic": delete_topic,
    "list-topics": list_topics,
    "describe-topic": describe_topic,
    "list-groups": list_groups,
    "describe-group": describe_group,
    "delete-group": delete_group,
    "group-offsets": group_offsets,
    "describe-config": describe_config,
    "alter-config": alter_config,
    "describe-cluster": describe_cluster,
    "delete-records": delete_records,
    "put-password": put_password,
    "drop-password": drop_password,
    "list-passwords": list_passwords,
    "produce": produce,
    "consume": consume,
    "seek": seek,
    "group": group,
})
