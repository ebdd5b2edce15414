import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbEnhancedClient;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbTable;
import software.amazon.awssdk.enhanced.dynamodb.Expression;
import software.amazon.awssdk.enhanced.dynamodb.Key;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.enhanced.dynamodb.model.ConditionCheck;
import software.amazon.awssdk.enhanced.dynamodb.model.Page;
import software.amazon.awssdk.enhanced.dynamodb.model.QueryConditional;
import software.amazon.awssdk.enhanced.dynamodb.model.WriteBatch;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.ResourceNotFoundException;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;

/** The mapper that Java programs use: beans in and out, its own tables, conditions, batches and transactions. */
class EnhancedTest {
    private static final DynamoDbEnhancedClient enhanced = DynamoDbEnhancedClient.builder().dynamoDbClient(World.db).build();
    private static final TableSchema<Order> SCHEMA = TableSchema.fromBean(Order.class);
    private static final DynamoDbTable<Order> orders = enhanced.table(World.TABLE, SCHEMA);

    private static final DynamoDbTable<VersionedOrder> versioned =
            enhanced.table(World.TABLE, TableSchema.fromBean(VersionedOrder.class));

    private static Order order(String customer, int number) {
        return filled(new Order(), customer, number);
    }

    private static <T extends Order> T filled(T made, String customer, int number) {
        Order.Place place = new Order.Place();
        place.setCity("Köln");
        place.setHome(true);
        made.setCustomer(customer);
        made.setNumber(number);
        made.setTotal(new BigDecimal("1234567890123456789012345678901234567.8"));
        made.setMade(Instant.parse("2026-11-30T12:00:00.123456789Z"));
        made.setTags(Set.of("a", "b"));
        made.setPlaces(List.of(place));
        made.setPhoto(SdkBytes.fromByteArray(new byte[] {0, (byte) 255}));
        return made;
    }

    private static Key key(String customer, int number) {
        return Key.builder().partitionValue(customer).sortValue(number).build();
    }

    @Test
    void aTableIsMadeFromABean() {
        DynamoDbTable<Order> table = enhanced.table(World.PREFIX + "-bean", SCHEMA);
        table.createTable();
        World.db.waiter().waitUntilTableExists(r -> r.tableName(table.tableName()));
        assertEquals(World.keySchema(), table.describeTable().table().keySchema());
        table.deleteTable();
        World.db.waiter().waitUntilTableNotExists(r -> r.tableName(table.tableName()));
        assertThrows(ResourceNotFoundException.class, table::describeTable);
    }

    @Test
    void aBeanIsReadBack() {
        Order one = order(World.newName(), 1);
        orders.putItem(one);
        Order read = orders.getItem(r -> r.key(key(one.getCustomer(), 1)).consistentRead(true));
        assertEquals(SCHEMA.itemToMap(one, true).keySet(), SCHEMA.itemToMap(read, true).keySet());
        assertEquals(one.getTotal(), read.getTotal());
        assertEquals(one.getMade(), read.getMade());
        assertEquals(one.getTags(), read.getTags());
        assertEquals(one.getPhoto(), read.getPhoto());
        assertEquals(List.of("Köln", true), List.of(read.getPlaces().get(0).getCity(), read.getPlaces().get(0).isHome()));
    }

    @Test
    void anUpdateThatLostItsRaceIsRefused() {
        VersionedOrder one = filled(new VersionedOrder(), World.newName(), 1);
        versioned.putItem(one);
        VersionedOrder mine = versioned.getItem(key(one.getCustomer(), 1));
        VersionedOrder theirs = versioned.getItem(key(one.getCustomer(), 1));
        theirs.setTotal(BigDecimal.ONE);
        assertEquals(mine.getVersion() + 1, versioned.updateItem(theirs).getVersion());
        mine.setTotal(BigDecimal.TEN);
        ConditionalCheckFailedException fault = assertThrows(ConditionalCheckFailedException.class, () -> versioned.updateItem(mine));
        assertEquals("The conditional request failed", fault.awsErrorDetails().errorMessage());
        assertEquals(BigDecimal.ONE, versioned.getItem(key(one.getCustomer(), 1)).getTotal());
    }

    @Test
    void beansAreQueriedByPagesAndScanned() {
        String customer = World.newName();
        for (int number = 0; number < 10; number++) {
            orders.putItem(order(customer, number));
        }
        List<Page<Order>> pages = orders.query(r -> r.limit(4).queryConditional(
                QueryConditional.sortGreaterThan(key(customer, 0)))).stream().toList();
        assertEquals(List.of(4, 4, 1), pages.stream().map(page -> page.items().size()).toList());
        assertEquals(List.of(5, 6, 7, 8), pages.get(1).items().stream().map(Order::getNumber).toList());
        Expression filter = Expression.builder().expression("pk = :p AND sk < :three AND contains(tags, :tag)").expressionValues(
                Map.of(":p", World.text(customer), ":three", World.number("3"), ":tag", World.text("a"))).build();
        assertEquals(Set.of(0, 1, 2), Set.copyOf(
                orders.scan(r -> r.filterExpression(filter)).items().stream().map(Order::getNumber).toList()));
    }

    @Test
    void beansAreWrittenByBatchesAndTransactions() {
        String customer = World.newName();
        WriteBatch.Builder<Order> batch = WriteBatch.builder(Order.class).mappedTableResource(orders);
        for (int number = 0; number < 25; number++) {
            batch.addPutItem(order(customer, number));
        }
        var written = enhanced.batchWriteItem(r -> r.writeBatches(batch.build()));
        assertTrue(written.unprocessedPutItemsForTable(orders).isEmpty());
        enhanced.transactWriteItems(r -> r.addDeleteItem(orders, key(customer, 0)).addPutItem(orders, order(customer, 25)));
        var read = enhanced.transactGetItems(r -> r.addGetItem(orders, key(customer, 0)).addGetItem(orders, key(customer, 25)));
        assertNull(read.get(0).getItem(orders));
        assertEquals(25, read.get(1).getItem(orders).getNumber());
        ConditionCheck<Order> check = ConditionCheck.builder().key(key(customer, 25)).conditionExpression(
                Expression.builder().expression("attribute_not_exists(pk)").build()).build();
        TransactionCanceledException fault = assertThrows(TransactionCanceledException.class,
                () -> enhanced.transactWriteItems(r -> r.addConditionCheck(orders, check).addPutItem(orders, order(customer, 26))));
        assertEquals(List.of("ConditionalCheckFailed", "None"), fault.cancellationReasons().stream().map(one -> one.code()).toList());
    }
}
