import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own Java clients behind the verbs of clients.py. */
public final class WireClient {
    private final String bootstrap;
    private final Map<String, String> args = new HashMap<>();

    private WireClient(String[] argv) {
        bootstrap = argv[0];
        for (int at = 2; at < argv.length; at++) {
            String[] pair = argv[at].split("=", 2);
            args.put(pair[0], pair[1]);
        }
    }

    public static void main(String[] argv) throws Exception {
        WireClient client = new WireClient(argv);
        switch (argv[1]) {
        case "create-topic" -> client.createTopic();
        case "create-partitions" -> client.createPartitions();
        case "delete-topic" -> client.deleteTopic();
        case "list-topics" -> client.listTopics();
        case "describe-topic" -> client.describeTopic();
        case "list-groups" -> client.listGroups();
        case "describe-group" -> client.describeGroup();
        case "delete-group" -> client.deleteGroup();
        case "group-offsets" -> client.groupOffsets();
        case "describe-config" -> client.describeConfig();
        case "alter-config" -> client.alterConfig();
        case "describe-cluster" -> client.describeCluster();
        case "delete-records" -> client.deleteRecords();
        case "put-password" -> client.putPassword();
        case "drop-password" -> client.dropPassword();
        case "list-passwords" -> client.listPasswords();
        case "produce" -> client.produce();
        case "consume" -> client.consume();
        case "seek" -> client.seek();
        case "group" -> client.group();
        default -> throw new IllegalArgumentException("no such verb: " + argv[1]);
        }
    }

    /** Where to connect, and how to log in: the lines of WIRE_JAVA_SECURITY. */
    private Properties settings() {
        Properties settings = new Properties();
        String login = System.getenv("WIRE_JAVA_SECURITY");
        try {
            settings.load(new java.io.StringReader(login == null ? "" : login));
        } catch (java.io.IOException broken) {
            throw new IllegalArgumentException(broken);
        }
        settings.put("bootstrap.servers", bootstrap);
        return settings;
    }

    // --- output ---

    private static String quote(String text) {
        if (text == null) {
            return "null";
        }
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    private static String list(Iterable<String> items) {
        List<String> quoted = new ArrayList<>();
        items.forEach(item -> quoted.add(quote(item)));
        return "[" + String.join(",", quoted) + "]";
    }

    private static void say(String format, Object... values) {
        System.out.println(String.format(format, values));
        System.out.flush();
    }

    private static void show(ConsumerRecord<String, String> record, String more) {
        List<String> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            String value = new String(header.value(), StandardCharsets.UTF_8);
            headers.add(list(List.of(header.key(), value)));
        }
        say("{%s\"topic\":%s,\"partition\":%d,\"offset\":%d,\"timestamp\":%d,\"key\":%s,"
                + "\"value\":%s,\"headers\":[%s]}",
            more, quote(record.topic()), record.partition(), record.offset(), record.timestamp(),
            quote(record.key()), quote(record.value()), String.join(",", headers));
    }

    // --- administration ---

    private Admin admin() {
        return Admin.create(settings());
    }

    private void createTopic() throws Exception {
        NewTopic wanted =
            new NewTopic(args.get("topic"), Integer.parseInt(args.get("partitions")), (short) 1);
        try (Admin admin = admin()) {
            admin.createTopics(List.of(wanted)).all().get();
        }
    }

    private void createPartitions() throws Exception {
        NewPartitions wanted = NewPartitions.increaseTo(Integer.parseInt(args.get("count")));
        try (Admin admin = admin()) {
            admin.createPartitions(Map.of(args.get("topic"), wanted)).all().get();
        }
    }

    private void deleteTopic() throws Exception {
        try (Admin admin = admin()) {
            admin.deleteTopics(List.of(args.get("topic"))).all().get();
        }
    }

    private void listTopics() throws Exception {
        try (Admin admin = admin()) {
            say("{\"topics\":%s}", list(new TreeSet<>(admin.listTopics().names().get())));
        }
    }

    private void describeTopic() throws Exception {
        String topic = args.get("topic");
        try (Admin admin = admin()) {
            var found = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            say("{\"partitions\":%d}", found.partitions().size());
        }
    }

    private void listGroups() throws Exception {
        try (Admin admin = admin()) {
            Set<String> names = new TreeSet<>();
            admin.listGroups().all().get().forEach(group -> names.add(group.groupId()));
            say("{\"groups\":%s}", list(names));
        }
    }

    private void describeGroup() throws Exception {
        String group = args.get("group");
        try (Admin admin = admin()) {
            ConsumerGroupDescription found =
                admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            say("{\"state\":%s,\"members\":%d}", quote(found.groupState().toString()),
                found.members().size());
        }
    }

    private void deleteGroup() throws Exception {
        try (Admin admin = admin()) {
            admin.deleteConsumerGroups(List.of(args.get("group"))).all().get();
        }
    }

    private void groupOffsets() throws Exception {
        try (Admin admin = admin()) {
            var found = admin.listConsumerGroupOffsets(args.get("group"))
                .partitionsToOffsetAndMetadata().get();
            say("{\"offsets\":{%s}}", found.entrySet().stream()
                .map(one -> "\"" + one.getKey().partition() + "\":" + one.getValue().offset())
                .collect(Collectors.joining(",")));
        }
    }

    private void describeConfig() throws Exception {
        ConfigResource asked = new ConfigResource(ConfigResource.Type.TOPIC, args.get("topic"));
        try (Admin admin = admin()) {
            var found = admin.describeConfigs(List.of(asked)).all().get().get(asked);
            say("{\"value\":%s}", quote(found.get(args.get("setting")).value()));
        }
    }

    private void alterConfig() throws Exception {
        ConfigResource asked = new ConfigResource(ConfigResource.Type.TOPIC, args.get("topic"));
        ConfigEntry entry = new ConfigEntry(args.get("setting"), args.get("value"));
        Collection<AlterConfigOp> ops = List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET));
        try (Admin admin = admin()) {
            admin.incrementalAlterConfigs(Map.of(asked, ops)).all().get();
        }
    }

    private void describeCluster() throws Exception {
        try (Admin admin = admin()) {
            say("{\"brokers\":%d}", admin.describeCluster().nodes().get().size());
        }
    }

    private void deleteRecords() throws Exception {
        RecordsToDelete before = RecordsToDelete.beforeOffset(Long.parseLong(args.get("offset")));
        try (Admin admin = admin()) {
            admin.deleteRecords(Map.of(partition(), before)).all().get();
        }
    }

    // --- passwords ---

    private ScramMechanism mechanism() {
        return ScramMechanism.fromMechanismName(args.get("mechanism"));
    }

    private void putPassword() throws Exception {
        ScramCredentialInfo how =
            new ScramCredentialInfo(mechanism(), Integer.parseInt(args.get("iterations")));
        try (Admin admin = admin()) {
            admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
                args.get("user"), how, args.get("password")))).all().get();
        }
    }

    private void dropPassword() throws Exception {
        try (Admin admin = admin()) {
            admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(
                args.get("user"), mechanism()))).all().get();
        }
    }

    private void listPasswords() throws Exception {
        try (Admin admin = admin()) {
            List<String> users = new ArrayList<>();
            admin.describeUserScramCredentials().all().get().forEach((user, found) ->
                users.add(quote(user) + ":{" + found.credentialInfos().stream()
                    .map(info -> quote(info.mechanism().mechanismName()) + ":" + info.iterations())
                    .collect(Collectors.joining(",")) + "}"));
            say("{\"users\":{%s}}", String.join(",", users));
        }
    }

    // --- records ---

    private void produce() throws Exception {
        Properties settings = settings();
        settings.put("compression.type", args.get("codec"));
        settings.put("linger.ms", "50");
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        String name = args.get("name");
        Integer partition =
            args.containsKey("partition") ? Integer.valueOf(args.get("partition")) : null;
        int start = Integer.parseInt(args.get("start"));
        int count = Integer.parseInt(args.get("count"));
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            for (int index = start; index < start + count; index++) {
                String value = name + "-v" + index + " " + "0123456789".repeat(12);
                ProducerRecord<String, String> record = new ProducerRecord<>(
                    args.get("topic"), partition, name + "-k" + index, value);
                record.headers().add("wire", name.getBytes(StandardCharsets.UTF_8));
                sent.add(producer.send(record));
            }
            producer.flush();
        }
        for (Future<RecordMetadata> future : sent) {
            RecordMetadata done = future.get();
            say("{\"partition\":%d,\"offset\":%d}", done.partition(), done.offset());
        }
    }

    private Properties reading() {
        Properties settings = settings();
        settings.put("enable.auto.commit", "false");
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        return settings;
    }

    private TopicPartition partition() {
        return new TopicPartition(args.get("topic"), Integer.parseInt(args.get("partition")));
    }

    private void read(KafkaConsumer<String, String> consumer) {
        int left = Integer.parseInt(args.get("count"));
        while (left > 0) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                if (left-- > 0) {
                    show(record, "");
                }
            }
        }
    }

    private void consume() {
        Properties settings = reading();
        settings.put("auto.offset.reset", "none");
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            consumer.assign(List.of(partition()));
            consumer.seek(partition(), Long.parseLong(args.get("offset")));
            read(consumer);
        }
    }

    private void seek() {
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(reading())) {
            long timestamp = Long.parseLong(args.get("timestamp"));
            OffsetAndTimestamp found =
                consumer.offsetsForTimes(Map.of(partition(), timestamp)).get(partition());
            say("{\"offset\":%d}", found.offset());
            consumer.assign(List.of(partition()));
            consumer.seek(partition(), found.offset());
            read(consumer);
        }
    }

    // --- groups ---

    private static String strategy(String name) {
        String assignor = switch (name) {
        case "range" -> "RangeAssignor";
        case "roundrobin" -> "RoundRobinAssignor";
        case "cooperative-sticky" -> "CooperativeStickyAssignor";
        default -> throw new IllegalArgumentException("no such strategy: " + name);
        };
        return "org.apache.kafka.clients.consumer." + assignor;
    }

    /** True once our input has ended: the sign to leave the group. */
    private static final class InputEnd extends Thread {
        private volatile boolean ended;

        @Override
        public void run() {
            try {
                System.in.readAllBytes();
            } catch (java.io.IOException broken) {
                System.err.println(broken);
            }
            ended = true;
        }
    }

    private void group() {
        Properties settings = reading();
        settings.put("group.id", args.get("group"));
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", "6000");
        settings.put("heartbeat.interval.ms", "500");
        settings.put("metadata.max.age.ms", "1000");
        settings.put("partition.assignment.strategy", strategy(args.getOrDefault("strategy", "range")));
        if (args.containsKey("instance")) {
            settings.put("group.instance.id", args.get("instance"));
        }
        InputEnd input = new InputEnd();
        input.setDaemon(true);
        input.start();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(Arrays.asList(args.get("topics").split(",")));
            Set<TopicPartition> known = null;
            while (!input.ended) {
                ConsumerRecords<String, String> found = consumer.poll(Duration.ofMillis(100));
                if (!consumer.assignment().equals(known)) {
                    known = Set.copyOf(consumer.assignment());
                    say("{\"event\":\"assigned\",\"partitions\":[%s]}", known.stream()
                        .map(part -> "[" + quote(part.topic()) + "," + part.partition() + "]")
                        .collect(Collectors.joining(",")));
                }
                found.forEach(record -> show(record, "\"event\":\"record\","));
                if (!found.isEmpty()) {
                    consumer.commitSync();
                }
            }
        }
        say("{\"event\":\"closed\"}");
    }
}
