import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BatchGetItemResponse;
import software.amazon.awssdk.services.dynamodb.model.DeleteRequest;
import software.amazon.awssdk.services.dynamodb.model.KeysAndAttributes;
import software.amazon.awssdk.services.dynamodb.model.QueryResponse;
import software.amazon.awssdk.services.dynamodb.model.WriteRequest;
import software.amazon.awssdk.services.dynamodb.paginators.QueryIterable;

class PagesTest {
    private static final AttributeValue SMALL = World.text("w");

    @Test
    void aQueryIsReadByPages() {
        String pk = World.newName();
        assertTrue(World.putMany(pk, 0, 25, "v", SMALL));
        QueryIterable pages = World.db.queryPaginator(r -> r.tableName(World.TABLE).keyConditionExpression("pk = :p").limit(10)
                .expressionAttributeValues(Map.of(":p", World.text(pk))));
        assertEquals(List.of(10, 10, 5), pages.stream().map(QueryResponse::count).toList());
        assertEquals(numbers(0, 25), World.sortKeys(pages.items().stream().toList()));
    }

    @Test
    void aQueryGoesBackwardsThroughARange() {
        String pk = World.newName();
        assertTrue(World.putMany(pk, -3, 12, "v", SMALL));
        List<Map<String, AttributeValue>> found = World.db.query(r -> r.tableName(World.TABLE).scanIndexForward(false)
                .keyConditionExpression("pk = :p AND sk BETWEEN :from AND :to").filterExpression("contains(v, :w)")
                .expressionAttributeValues(Map.of(":p", World.text(pk), ":from", World.number("-2"), ":to", World.number("3"), ":w", SMALL)))
                .items();
        assertEquals(List.of("3", "2", "1", "0", "-1", "-2"), World.sortKeys(found));
    }

    @Test
    void largePagesEndByThemselves() {
        String pk = World.newName();
        for (int sk = 0; sk < 15; sk++) {
            assertTrue(World.putMany(pk, sk, sk + 1, "s", World.text("x".repeat(100_000))));
        }
        QueryIterable pages = World.db.queryPaginator(r -> r.tableName(World.TABLE).keyConditionExpression("pk = :p")
                .expressionAttributeValues(Map.of(":p", World.text(pk))));
        assertEquals(2, pages.stream().count(), "1.5 MB are two pages of at most 1 MiB");
        assertEquals(numbers(0, 15), World.sortKeys(pages.items().stream().toList()));
    }

    @Test
    void aScanInSegmentsFindsEverythingOnce() {
        String pk = World.newName();
        assertTrue(World.putMany(pk, 0, 40, "v", SMALL));
        List<String> found = IntStream.range(0, 4).parallel().boxed().flatMap(segment -> World.db.scanPaginator(r -> r
                .tableName(World.TABLE).segment(segment).totalSegments(4).limit(7).filterExpression("pk = :p")
                .expressionAttributeValues(Map.of(":p", World.text(pk)))).items().stream()).map(one -> one.get("sk").n()).toList();
        assertEquals(40, found.size());
        assertEquals(new HashSet<>(numbers(0, 40)), new HashSet<>(found));
    }

    @Test
    void aBatchIsWrittenReadAndDeleted() {
        String pk = World.newName();
        assertTrue(World.putMany(pk, 0, 25, "v", SMALL));
        List<Map<String, AttributeValue>> keys = IntStream.range(0, 25).mapToObj(sk -> World.key(pk, sk)).toList();
        assertEquals(25, read(keys).size());
        assertEquals(List.of("sk"), new ArrayList<>(read(keys).get(0).keySet()));
        List<WriteRequest> writes = keys.stream()
                .map(key -> WriteRequest.builder().deleteRequest(DeleteRequest.builder().key(key).build()).build()).toList();
        assertTrue(World.db.batchWriteItem(r -> r.requestItems(Map.of(World.TABLE, writes))).unprocessedItems().isEmpty());
        assertEquals(List.of(), read(keys));
    }

    private static List<Map<String, AttributeValue>> read(List<Map<String, AttributeValue>> keys) {
        KeysAndAttributes wanted = KeysAndAttributes.builder().keys(keys).consistentRead(true).projectionExpression("sk").build();
        List<Map<String, AttributeValue>> found = new ArrayList<>();
        for (BatchGetItemResponse page : World.db.batchGetItemPaginator(r -> r.requestItems(Map.of(World.TABLE, wanted)))) {
            found.addAll(page.responses().getOrDefault(World.TABLE, List.of()));
        }
        return found;
    }

    private static List<String> numbers(int from, int to) {
        return IntStream.range(from, to).mapToObj(Integer::toString).toList();
    }
}
