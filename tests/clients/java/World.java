import java.net.URI;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeDefinition;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.KeySchemaElement;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.PutRequest;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;
import software.amazon.awssdk.services.dynamodb.model.StreamViewType;
import software.amazon.awssdk.services.dynamodb.model.TableDescription;
import software.amazon.awssdk.services.dynamodb.model.WriteRequest;
import software.amazon.awssdk.services.dynamodb.streams.DynamoDbStreamsClient;

/**
 * The clients, and a table that all tests share, each with partition keys of its own. Endpoint, keys and region come from
 * the environment, as for anyone.
 */
final class World {
    static final URI ENDPOINT = URI.create(System.getenv("AWS_ENDPOINT_URL"));
    static final DynamoDbClient db = DynamoDbClient.create();
    static final DynamoDbStreamsClient streams = DynamoDbStreamsClient.create();
    static final String PREFIX = "clients-java-" + System.nanoTime();
    static final String TABLE = PREFIX + "-shared";
    /** The answer that made the shared table. */
    static final TableDescription made = createTable(TABLE);

    private static final AtomicInteger names = new AtomicInteger();

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> db.deleteTable(r -> r.tableName(TABLE))));
    }

    private World() {
    }

    /** A table with the keys pk: S and sk: N and a stream; it is active. */
    static TableDescription createTable(String name) {
        TableDescription table = db.createTable(r -> r
                .tableName(name)
                .billingMode(BillingMode.PAY_PER_REQUEST)
                .attributeDefinitions(attribute("pk", ScalarAttributeType.S), attribute("sk", ScalarAttributeType.N))
                .keySchema(keySchema())
                .streamSpecification(s -> s.streamEnabled(true).streamViewType(StreamViewType.NEW_AND_OLD_IMAGES)))
                .tableDescription();
        db.waiter().waitUntilTableExists(r -> r.tableName(name));
        return table;
    }

    static List<KeySchemaElement> keySchema() {
        return List.of(
                KeySchemaElement.builder().attributeName("pk").keyType(KeyType.HASH).build(),
                KeySchemaElement.builder().attributeName("sk").keyType(KeyType.RANGE).build());
    }

    private static AttributeDefinition attribute(String name, ScalarAttributeType type) {
        return AttributeDefinition.builder().attributeName(name).attributeType(type).build();
    }

    /** A partition key that no other test uses. */
    static String newName() {
        return "key-" + names.incrementAndGet();
    }

    static AttributeValue text(String value) {
        return AttributeValue.fromS(value);
    }

    static AttributeValue number(String value) {
        return AttributeValue.fromN(value);
    }

    static AttributeValue bytes(int... values) {
        byte[] raw = new byte[values.length];
        for (int i = 0; i < raw.length; i++) {
            raw[i] = (byte) values[i];
        }
        return AttributeValue.fromB(SdkBytes.fromByteArray(raw));
    }

    static Map<String, AttributeValue> key(String pk, int sk) {
        return Map.of("pk", text(pk), "sk", number(Integer.toString(sk)));
    }

    /** The key with one attribute more. */
    static Map<String, AttributeValue> item(String pk, int sk, String name, AttributeValue value) {
        Map<String, AttributeValue> made = new HashMap<>(key(pk, sk));
        made.put(name, value);
        return made;
    }

    static void put(Map<String, AttributeValue> item) {
        db.putItem(r -> r.tableName(TABLE).item(item));
    }

    /** The item as a consistent read sees it; empty when there is none. */
    static Map<String, AttributeValue> get(Map<String, AttributeValue> item) {
        return db.getItem(r -> r.tableName(TABLE).consistentRead(true)
                .key(Map.of("pk", item.get("pk"), "sk", item.get("sk")))).item();
    }

    /** Puts items with these sort keys under one partition key, in batches of 25; false when something was left undone. */
    static boolean putMany(String pk, int from, int to, String name, AttributeValue value) {
        boolean done = true;
        for (int start = from; start < to; start += 25) {
            List<WriteRequest> writes = new ArrayList<>();
            for (int sk = start; sk < Math.min(start + 25, to); sk++) {
                Map<String, AttributeValue> one = item(pk, sk, name, value);
                writes.add(WriteRequest.builder().putRequest(PutRequest.builder().item(one).build()).build());
            }
            done &= db.batchWriteItem(r -> r.requestItems(Map.of(TABLE, writes))).unprocessedItems().isEmpty();
        }
        return done;
    }

    static List<String> sortKeys(List<Map<String, AttributeValue>> items) {
        return items.stream().map(one -> one.get("sk").n()).toList();
    }
}
