import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.DynamoDbException;
import software.amazon.awssdk.services.dynamodb.model.PutItemResponse;
import software.amazon.awssdk.services.dynamodb.model.ResourceNotFoundException;
import software.amazon.awssdk.services.dynamodb.model.ReturnConsumedCapacity;
import software.amazon.awssdk.services.dynamodb.model.ReturnValue;
import software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure;

class ItemsTest {
    @Test
    void everyTypeIsReadBack() {
        Map<String, AttributeValue> one = new HashMap<>(World.key(World.newName(), 1));
        one.put("s", World.text("é\u0000\uD83C\uDF0A"));
        one.put("n", World.number("-1.5"));
        one.put("b", World.bytes(0, 255, 10));
        one.put("bool", AttributeValue.fromBool(false));
        one.put("null", AttributeValue.fromNul(true));
        one.put("ss", AttributeValue.fromSs(List.of("a", "b")));
        one.put("ns", AttributeValue.fromNs(List.of("1", "2")));
        one.put("bs", AttributeValue.fromBs(List.of(World.bytes(1).b(), World.bytes(2).b())));
        one.put("l", AttributeValue.fromL(List.of(World.text("x"), World.number("7"), AttributeValue.fromM(
                Map.of("deep", AttributeValue.fromL(List.of(World.number("0.1"))))))));
        one.put("m", AttributeValue.fromM(Map.of("a b", World.text(""), "a.b[0]", World.number("0"))));
        World.put(one);
        assertEquals(one, World.get(one));
    }

    @Test
    void emptyValuesAreReadBack() {
        Map<String, AttributeValue> one = new HashMap<>(World.key(World.newName(), 1));
        one.put("s", World.text(""));
        one.put("b", AttributeValue.fromB(SdkBytes.fromByteArray(new byte[0])));
        one.put("l", AttributeValue.fromL(List.of()));
        one.put("m", AttributeValue.fromM(Map.of()));
        World.put(one);
        assertEquals(one, World.get(one));
    }

    @Test
    void numbersOf38DigitsAreReadBack() {
        Map<String, AttributeValue> one = new HashMap<>(World.key(World.newName(), 1));
        one.put("whole", World.number("12345678901234567890123456789012345678"));
        one.put("negative", World.number("-99999999999999999999999999999999999999"));
        one.put("part", World.number("0.12345678901234567890123456789012345678"));
        one.put("mixed", World.number("1234567890123456789.0123456789012345678"));
        World.put(one);
        assertEquals(one, World.get(one));
    }

    @Test
    void theLargestAndTheSmallestNumbersKeepTheirValue() {
        for (String value : List.of("9.9999999999999999999999999999999999999E+125", "-9.9999999999999999999999999999999999999E+125", "1E-130")) {
            Map<String, AttributeValue> one = World.item(World.newName(), 1, "n", World.number(value));
            World.put(one);
            assertEquals(0, new BigDecimal(value).compareTo(new BigDecimal(World.get(one).get("n").n())), value);
        }
    }

    @Test
    void writesReturnWhatWasAsked() {
        String pk = World.newName();
        Map<String, AttributeValue> one = World.item(pk, 1, "n", World.number("1"));
        World.put(one);
        PutItemResponse again = World.db.putItem(r -> r.tableName(World.TABLE).item(one).returnValues(ReturnValue.ALL_OLD)
                .returnConsumedCapacity(ReturnConsumedCapacity.TOTAL));
        assertEquals(one, again.attributes());
        assertEquals(World.TABLE, again.consumedCapacity().tableName());
        assertTrue(again.consumedCapacity().capacityUnits() >= 1);
        assertEquals(Map.of("n", World.number("42")), World.db.updateItem(r -> r.tableName(World.TABLE).key(World.key(pk, 1))
                .updateExpression("ADD #n :by").expressionAttributeNames(Map.of("#n", "n"))
                .expressionAttributeValues(Map.of(":by", World.number("41"))).returnValues(ReturnValue.UPDATED_NEW)).attributes());
        assertEquals(World.number("42"), World.db.deleteItem(r -> r.tableName(World.TABLE).key(World.key(pk, 1))
                .returnValues(ReturnValue.ALL_OLD)).attributes().get("n"));
        assertFalse(World.db.getItem(r -> r.tableName(World.TABLE).key(World.key(pk, 1))).hasItem());
    }

    @Test
    void aConditionThatFailsHasATypeOfItsOwn() {
        Map<String, AttributeValue> one = World.key(World.newName(), 1);
        World.put(one);
        ConditionalCheckFailedException fault = assertThrows(ConditionalCheckFailedException.class, () -> World.db.putItem(r -> r
                .tableName(World.TABLE).item(one).conditionExpression("attribute_not_exists(pk)")
                .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD)));
        assertEquals("The conditional request failed", fault.awsErrorDetails().errorMessage());
        assertEquals(one, fault.item());
    }

    @Test
    void aTableThatIsNotThereHasATypeOfItsOwn() {
        ResourceNotFoundException fault = assertThrows(ResourceNotFoundException.class,
                () -> World.db.getItem(r -> r.tableName(World.PREFIX + "-none").key(World.key("a", 1))));
        assertEquals("Requested resource not found", fault.awsErrorDetails().errorMessage());
        assertEquals("ResourceNotFoundException", fault.awsErrorDetails().errorCode());
        assertEquals(400, fault.statusCode());
        assertEquals(52, fault.requestId().length(), fault.requestId());
    }

    @Test
    void aWrongRequestIsToldByItsMessage() {
        DynamoDbException fault = assertThrows(DynamoDbException.class,
                () -> World.db.getItem(r -> r.tableName(World.TABLE).key(Map.of("pk", World.text("a")))));
        assertEquals("ValidationException", fault.awsErrorDetails().errorCode());
        assertEquals("The provided key element does not match the schema", fault.awsErrorDetails().errorMessage());
    }

    @Test
    void itemsThatAreTooLargeAreRefused() {
        DynamoDbException fault = assertThrows(DynamoDbException.class,
                () -> World.put(World.item(World.newName(), 1, "s", World.text("x".repeat(400 * 1024)))));
        assertEquals("Item size has exceeded the maximum allowed size", fault.awsErrorDetails().errorMessage());
    }

    @Test
    void aWrongSecretIsRefused() {
        assertRefused(DefaultCredentialsProvider.builder().build().resolveCredentials().accessKeyId(), "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided");
        assertRefused("AKIANOBODY", "UnrecognizedClientException", "The security token included in the request is invalid");
    }

    private static void assertRefused(String accessKey, String code, String words) {
        var wrong = StaticCredentialsProvider.create(AwsBasicCredentials.create(accessKey, "wrong"));
        try (DynamoDbClient client = DynamoDbClient.builder().credentialsProvider(wrong).build()) {
            DynamoDbException fault = assertThrows(DynamoDbException.class, client::listTables);
            assertEquals(code, fault.awsErrorDetails().errorCode());
            assertTrue(fault.awsErrorDetails().errorMessage().startsWith(words), fault.getMessage());
        }
    }

    /** Netty under it instead of Apache's client: many calls at once on a few connections. */
    @Test
    void theAsynchronousClientHasItsAnswersInAnyOrder() {
        String pk = World.newName();
        try (DynamoDbAsyncClient client = DynamoDbAsyncClient.create()) {
            var puts = new ArrayList<CompletableFuture<PutItemResponse>>();
            for (int sk = 0; sk < 50; sk++) {
                Map<String, AttributeValue> one = World.key(pk, sk);
                puts.add(client.putItem(r -> r.tableName(World.TABLE).item(one)));
            }
            puts.forEach(put -> assertEquals(200, put.join().sdkHttpResponse().statusCode()));
            var pages = client.queryPaginator(r -> r.tableName(World.TABLE).keyConditionExpression("pk = :p").limit(20)
                    .expressionAttributeValues(Map.of(":p", World.text(pk))));
            var found = new ArrayList<Map<String, AttributeValue>>();
            pages.items().subscribe(found::add).join();
            assertEquals(IntStream.range(0, 50).mapToObj(Integer::toString).toList(), World.sortKeys(found));
        }
    }
}
