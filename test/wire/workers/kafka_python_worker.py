"""kafka-python, 2.0.2 or 2.2.15 as PYTHONPATH says, behind the verbs of clients.py."""

from common import input_end, main, records_of, say, security, text
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions,
                         NewTopic)
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

STRATEGIES = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}


def settings(bootstrap):
    names = {
        "protocol": "security_protocol", "mechanism": "sasl_mechanism",
        "user": "sasl_plain_username", "password": "sasl_plain_password", "ca": "ssl_cafile",
        "certificate": "ssl_certfile", "key": "ssl_keyfile",
    }
    login = {names[name]: value for name, value in security().items()}
    return {"bootstrap_servers": bootstrap, **login}


def admin(bootstrap):
    return KafkaAdminClient(**settings(bootstrap))


def create_topic(bootstrap, args):
    wanted = NewTopic(args["topic"], num_partitions=int(args["partitions"]), replication_factor=1)
    admin(bootstrap).create_topics([wanted])


def create_partitions(bootstrap, args):
    admin(bootstrap).create_partitions({args["topic"]: NewPartitions(int(args["count"]))})


def delete_topic(bootstrap, args):
    admin(bootstrap).delete_topics([args["topic"]])


def list_topics(bootstrap, _):
    say(topics=sorted(admin(bootstrap).list_topics()))


def describe_topic(bootstrap, args):
    found = admin(bootstrap).describe_topics([args["topic"]])
    say(partitions=len(found[0]["partitions"]))


def list_groups(bootstrap, _):
    say(groups=sorted(group[0] for group in admin(bootstrap).list_consumer_groups()))


def describe_group(bootstrap, args):
    group = admin(bootstrap).describe_consumer_groups([args["group"]])[0]
    say(state=group.state, members=len(group.members))


def delete_group(bootstrap, args):
    for _, error in admin(bootstrap).delete_consumer_groups([args["group"]]):
        if error.errno != 0:
            raise error


def group_offsets(bootstrap, args):
    found = admin(bootstrap).list_consumer_group_offsets(args["group"])
    say(offsets={str(part.partition): where.offset for part, where in found.items()})


def describe_config(bootstrap, args):
    asked = ConfigResource(ConfigResourceType.TOPIC, args["topic"])
    answer = admin(bootstrap).describe_configs([asked])[0].resources[0]
    # error, message, type, name, settings, of which each is name, value, ...
    assert answer[0] == 0, answer
    say(value=next(one[1] for one in answer[4] if one[0] == args["setting"]))


def alter_config(bootstrap, args):
    asked = ConfigResource(ConfigResourceType.TOPIC, args["topic"],
                           configs={args["setting"]: args["value"]})
    answer = admin(bootstrap).alter_configs([asked])
    assert answer.resources[0][0] == 0, answer


def describe_cluster(bootstrap, _):
    say(brokers=len(admin(bootstrap).describe_cluster()["brokers"]))


def delete_records(bootstrap, args):
    where = TopicPartition(args["topic"], int(args["partition"]))
    admin(bootstrap).delete_records({where: int(args["offset"])})


def produce(bootstrap, args):
    codec = None if args["codec"] == "none" else args["codec"]
    # 2.0.2 does not know the setting at all.
    more = {"enable_idempotence": True} if args.get("idempotent") == "true" else {}
    producer = KafkaProducer(
        compression_type=codec, acks="all", linger_ms=50, **settings(bootstrap), **more
    )
    partition = int(args["partition"]) if "partition" in args else None
    sent = [
        producer.send(args["topic"], key=key.encode(), value=value.encode(), partition=partition,
                      headers=[("wire", args["name"].encode())])
        for key, value in records_of(args)
    ]
    producer.flush()
    for future in sent:
        done = future.get(timeout=30)
        say(partition=done.partition, offset=done.offset)
    producer.close()


def show(record, **more):
    say(topic=record.topic, partition=record.partition, offset=record.offset,
        timestamp=record.timestamp, key=text(record.key), value=text(record.value),
        headers=[[name, text(value)] for name, value in record.headers], **more)


def read(consumer, count):
    """Prints this many records, from where the consumer stands."""
    while count > 0:
        for records in consumer.poll(timeout_ms=500, max_records=count).values():
            for record in records:
                show(record)
                count -= 1


def reader(bootstrap, args):
    consumer = KafkaConsumer(group_id=None, **settings(bootstrap))
    partition = TopicPartition(args["topic"], int(args["partition"]))
    consumer.assign([partition])
    return consumer, partition


def consume(bootstrap, args):
    consumer, partition = reader(bootstrap, args)
    consumer.seek(partition, int(args["offset"]))
    read(consumer, int(args["count"]))
    consumer.close()


def seek(bootstrap, args):
    consumer, partition = reader(bootstrap, args)
    found = consumer.offsets_for_times({partition: int(args["timestamp"])})[partition]
    say(offset=found.offset)
    consumer.seek(partition, found.offset)
    read(consumer, int(args["count"]))
    consumer.close()


def group(bootstrap, args):
    ended = input_end()
    more = {"group_instance_id": args["instance"]} if "instance" in args else {}
    consumer = KafkaConsumer(
        *args["topics"].split(","), **settings(bootstrap), group_id=args["group"],
        enable_auto_commit=False, auto_offset_reset="earliest", session_timeout_ms=6000,
        heartbeat_interval_ms=500, metadata_max_age_ms=1000,
        partition_assignment_strategy=[STRATEGIES[args.get("strategy", "range")]], **more)
    known = None
    while not ended.is_set():
        found = consumer.poll(timeout_ms=100)
        assigned = sorted(consumer.assignment())
        if assigned != known:
            known = assigned
            say(event="assigned", partitions=[list(part) for part in assigned])
        for records in found.values():
            for record in records:
                show(record, event="record")
        if found:
            consumer.commit()
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
    "produce": produce,
    "consume": consume,
    "seek": seek,
    "group": group,
})
