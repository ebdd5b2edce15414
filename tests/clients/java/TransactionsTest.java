import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.CancellationReason;
import software.amazon.awssdk.services.dynamodb.model.IdempotentParameterMismatchException;
import software.amazon.awssdk.services.dynamodb.model.ItemResponse;
import software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure;
import software.amazon.awssdk.services.dynamodb.model.TransactGetItem;
import software.amazon.awssdk.services.dynamodb.model.TransactWriteItem;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;

class TransactionsTest {
    static TransactWriteItem putting(Map<String, AttributeValue> item) {
        return TransactWriteItem.builder().put(p -> p.tableName(World.TABLE).item(item)).build();
    }

    /** Adds one to the item's n. */
    static TransactWriteItem adding(Map<String, AttributeValue> key) {
        return TransactWriteItem.builder().update(u -> u.tableName(World.TABLE).key(key).updateExpression("ADD n :one")
                .expressionAttributeValues(Map.of(":one", World.number("1")))).build();
    }

    private static TransactWriteItem absent(Map<String, AttributeValue> key) {
        return TransactWriteItem.builder().conditionCheck(c -> c.tableName(World.TABLE).key(key)
                .conditionExpression("attribute_not_exists(pk)")
                .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD)).build();
    }

    private static TransactGetItem getting(Map<String, AttributeValue> key) {
        return TransactGetItem.builder().get(g -> g.tableName(World.TABLE).key(key)).build();
    }

    @Test
    void aTransactionIsWrittenAndRead() {
        String pk = World.newName();
        World.db.transactWriteItems(r -> r.transactItems(putting(World.key(pk, 1)), adding(World.key(pk, 2)), absent(World.key(pk, 3))));
        TransactWriteItem delete = TransactWriteItem.builder().delete(d -> d.tableName(World.TABLE).key(World.key(pk, 1))).build();
        World.db.transactWriteItems(r -> r.transactItems(adding(World.key(pk, 2)), delete));
        List<ItemResponse> found = World.db.transactGetItems(r -> r.transactItems(
                getting(World.key(pk, 1)), getting(World.key(pk, 2)), getting(World.key(pk, 3)))).responses();
        assertEquals(3, found.size());
        assertTrue(found.get(0).item().isEmpty() && found.get(2).item().isEmpty(), found.toString());
        assertEquals(World.number("2"), found.get(1).item().get("n"));
    }

    @Test
    void aCancelledTransactionGivesItsReasons() {
        Map<String, AttributeValue> there = World.key(World.newName(), 1);
        World.put(there);
        Map<String, AttributeValue> other = World.key(World.newName(), 2);
        TransactionCanceledException fault = assertThrows(TransactionCanceledException.class,
                () -> World.db.transactWriteItems(r -> r.transactItems(putting(other), absent(there))));
        assertEquals("Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]",
                fault.awsErrorDetails().errorMessage());
        assertTrue(fault.hasCancellationReasons());
        assertEquals(List.of("None", "ConditionalCheckFailed"), fault.cancellationReasons().stream().map(CancellationReason::code).toList());
        assertEquals("The conditional request failed", fault.cancellationReasons().get(1).message());
        assertEquals(there, fault.cancellationReasons().get(1).item());
        assertFalse(World.get(other).containsKey("pk"));
    }

    @Test
    void aTokenIsGoodForOneTransaction() {
        Map<String, AttributeValue> one = World.key(World.newName(), 1);
        String token = World.PREFIX.substring(World.PREFIX.length() - 10) + World.newName();
        for (int i = 0; i < 2; i++) {
            World.db.transactWriteItems(r -> r.transactItems(adding(one)).clientRequestToken(token));
        }
        assertEquals(World.number("1"), World.get(one).get("n"));
        IdempotentParameterMismatchException fault = assertThrows(IdempotentParameterMismatchException.class,
                () -> World.db.transactWriteItems(r -> r.transactItems(putting(one)).clientRequestToken(token)));
        assertFalse(fault.awsErrorDetails().errorMessage().isEmpty());
    }
}
