import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.GetRecordsResponse;
import software.amazon.awssdk.services.dynamodb.model.OperationType;
import software.amazon.awssdk.services.dynamodb.model.Record;
import software.amazon.awssdk.services.dynamodb.model.ResourceNotFoundException;
import software.amazon.awssdk.services.dynamodb.model.Shard;
import software.amazon.awssdk.services.dynamodb.model.ShardIteratorType;
import software.amazon.awssdk.services.dynamodb.model.Stream;
import software.amazon.awssdk.services.dynamodb.model.StreamStatus;

class StreamsTest {
    private static final String ARN = World.made.latestStreamArn();
    private static final Duration WAIT = Duration.ofSeconds(60);

    /** Some records of one shard. */
    private record Found(String shard, List<Record> records) {
    }

    /** This many records with this partition key. */
    private static Found recordsOf(String pk, int wanted) {
        Instant end = Instant.now().plus(WAIT);
        while (Instant.now().isBefore(end)) {
            for (Shard shard : World.streams.describeStream(r -> r.streamArn(ARN)).streamDescription().shards()) {
                String from = iterator(shard.shardId(), ShardIteratorType.TRIM_HORIZON, null);
                List<Record> found = followed(from, pk, wanted);
                if (found.size() == wanted) {
                    return new Found(shard.shardId(), found);
                }
            }
        }
        throw new AssertionError("the records do not come");
    }

    private static String iterator(String shard, ShardIteratorType type, String after) {
        return World.streams.getShardIterator(r -> r.streamArn(ARN).shardId(shard).shardIteratorType(type).sequenceNumber(after)).shardIterator();
    }

    /** The records with this partition key from an iterator on, until there are enough or a page is empty. */
    private static List<Record> followed(String from, String pk, int wanted) {
        List<Record> found = new ArrayList<>();
        while (from != null) {
            String at = from;
            GetRecordsResponse page = World.streams.getRecords(r -> r.shardIterator(at).limit(100));
            page.records().stream().filter(one -> one.dynamodb().keys().get("pk").s().equals(pk)).forEach(found::add);
            if (page.records().isEmpty() || found.size() >= wanted) {
                break;
            }
            from = page.nextShardIterator();
        }
        return found;
    }

    private static void changeThrice(String pk) {
        World.put(World.key(pk, 1));
        World.put(World.item(pk, 1, "v", World.text("w")));
        World.db.deleteItem(r -> r.tableName(World.TABLE).key(World.key(pk, 1)));
    }

    @Test
    void theStreamIsListedAndDescribed() {
        List<Stream> found = World.streams.listStreams(r -> r.tableName(World.TABLE)).streams();
        assertEquals(List.of(ARN), found.stream().map(Stream::streamArn).toList());
        var described = World.streams.describeStream(r -> r.streamArn(ARN)).streamDescription();
        assertEquals(StreamStatus.ENABLED, described.streamStatus());
        assertEquals(World.keySchema(), described.keySchema());
    }

    @Test
    void changesAreReadFromTheStream() {
        String pk = World.newName();
        changeThrice(pk);
        List<Record> records = recordsOf(pk, 3).records();
        assertEquals(List.of(OperationType.INSERT, OperationType.MODIFY, OperationType.REMOVE),
                records.stream().map(Record::eventName).toList());
        Map<String, AttributeValue> before = World.key(pk, 1);
        Map<String, AttributeValue> after = World.item(pk, 1, "v", World.text("w"));
        assertEquals(before, records.get(0).dynamodb().keys());
        assertEquals(before, records.get(0).dynamodb().newImage());
        assertEquals(before, records.get(1).dynamodb().oldImage());
        assertEquals(after, records.get(1).dynamodb().newImage());
        assertEquals(after, records.get(2).dynamodb().oldImage());
        Duration age = Duration.between(records.get(2).dynamodb().approximateCreationDateTime(), Instant.now());
        assertTrue(age.toHours() < 1 && age.toMinutes() > -1, age.toString());
    }

    @Test
    void aStreamIsReadOnAfterASequenceNumber() {
        String pk = World.newName();
        changeThrice(pk);
        Found found = recordsOf(pk, 3);
        String middle = found.records().get(1).dynamodb().sequenceNumber();
        assertEquals(1, followed(iterator(found.shard(), ShardIteratorType.AFTER_SEQUENCE_NUMBER, middle), pk, 2).size());
        assertEquals(2, followed(iterator(found.shard(), ShardIteratorType.AT_SEQUENCE_NUMBER, middle), pk, 3).size());
        assertEquals(0, followed(iterator(found.shard(), ShardIteratorType.LATEST, null), pk, 1).size());
    }

    @Test
    void aStreamThatIsNotThereHasATypeOfItsOwn() {
        String arn = World.made.tableArn() + "/stream/2020-01-01T00:00:00.000";
        ResourceNotFoundException fault = assertThrows(ResourceNotFoundException.class,
                () -> World.streams.describeStream(r -> r.streamArn(arn)));
        assertEquals("Requested resource not found: Stream: " + arn + " not found", fault.awsErrorDetails().errorMessage());
    }
}
