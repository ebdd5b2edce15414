import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.net.URI;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;

class RetriesTest {
    /** Counts what is sent, retries too. */
    private static final class Sent implements ExecutionInterceptor {
        final AtomicInteger count = new AtomicInteger();

        @Override
        public void beforeTransmission(Context.BeforeTransmission context, ExecutionAttributes attributes) {
            count.incrementAndGet();
        }
    }

    @Test
    void aTransactionWhoseAnswerWasLostIsRetriedAndDoneOnce() throws Exception {
        Map<String, AttributeValue> one = World.key(World.newName(), 1);
        try (LossyNetwork network = new LossyNetwork(1);
                DynamoDbClient client = DynamoDbClient.builder().endpointOverride(network.address()).build()) {
            client.transactWriteItems(r -> r.transactItems(TransactionsTest.adding(one)));
            assertEquals(2, network.calls.get());
        }
        assertEquals(World.number("1"), World.get(one).get("n"));
    }

    @Test
    void aReadWhoseAnswersAreLostGivesUpInTheEnd() throws Exception {
        try (LossyNetwork network = new LossyNetwork(100);
                DynamoDbClient client = DynamoDbClient.builder().endpointOverride(network.address())
                        .overrideConfiguration(c -> c.retryStrategy(s -> s.maxAttempts(2))).build()) {
            assertThrows(SdkClientException.class, () -> client.getItem(r -> r.tableName(World.TABLE).key(World.key("a", 1))));
            assertEquals(2, network.calls.get());
        }
    }

    @Test
    void aClockThatIsWrongIsCorrectedByARetry() {
        String skewed = System.getenv("SKEWED_ENDPOINT_URL");
        assumeTrue(skewed != null, "SKEWED_ENDPOINT_URL names no server with another clock");
        Sent sent = new Sent();
        try (DynamoDbClient client = DynamoDbClient.builder().endpointOverride(URI.create(skewed))
                .overrideConfiguration(c -> c.addExecutionInterceptor(sent)).build()) {
            client.listTables();
            assertEquals(2, sent.count.get());
            client.listTables();
            assertEquals(3, sent.count.get());
        }
    }
}
