import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.ListTablesResponse;
import software.amazon.awssdk.services.dynamodb.model.ResourceInUseException;
import software.amazon.awssdk.services.dynamodb.model.ResourceNotFoundException;
import software.amazon.awssdk.services.dynamodb.model.TableDescription;
import software.amazon.awssdk.services.dynamodb.model.TableStatus;
import software.amazon.awssdk.services.dynamodb.model.Tag;
import software.amazon.awssdk.services.dynamodb.model.TimeToLiveDescription;
import software.amazon.awssdk.services.dynamodb.model.TimeToLiveStatus;

class TablesTest {
    @Test
    void aTableIsCreatedAndWaitedFor() {
        assertEquals(TableStatus.CREATING, World.made.tableStatus());
        TableDescription table = World.db.describeTable(r -> r.tableName(World.TABLE)).table();
        assertEquals(TableStatus.ACTIVE, table.tableStatus());
        assertEquals(World.keySchema(), table.keySchema());
        assertEquals(BillingMode.PAY_PER_REQUEST, table.billingModeSummary().billingMode());
        assertTrue(table.tableArn().endsWith(":table/" + World.TABLE), table.tableArn());
        assertTrue(table.latestStreamArn().startsWith(table.tableArn() + "/stream/"), table.latestStreamArn());
        Duration age = Duration.between(table.creationDateTime(), Instant.now());
        assertTrue(age.toHours() < 1 && age.toMinutes() > -1, () -> "another creation time: " + table.creationDateTime());
    }

    @Test
    void aTableIsDeletedAndWaitedFor() {
        String name = World.PREFIX + "-deleted";
        World.createTable(name);
        ResourceInUseException inUse = assertThrows(ResourceInUseException.class, () -> World.createTable(name));
        assertEquals("Table already exists: " + name, inUse.awsErrorDetails().errorMessage());
        assertEquals(TableStatus.DELETING, World.db.deleteTable(r -> r.tableName(name)).tableDescription().tableStatus());
        var waited = World.db.waiter().waitUntilTableNotExists(r -> r.tableName(name)).matched();
        assertTrue(waited.exception().orElseThrow() instanceof ResourceNotFoundException, waited.toString());
        ResourceNotFoundException missing = assertThrows(ResourceNotFoundException.class,
                () -> World.db.describeTable(r -> r.tableName(name)));
        assertEquals("Requested resource not found: Table: " + name + " not found", missing.awsErrorDetails().errorMessage());
    }

    @Test
    void tablesAreListedByPages() {
        String before = World.TABLE.substring(0, World.TABLE.length() - 1);
        ListTablesResponse page = World.db.listTablesPaginator(r -> r.exclusiveStartTableName(before).limit(1)).iterator().next();
        assertEquals(List.of(World.TABLE), page.tableNames());
    }

    @Test
    void aTableIsTagged() {
        Tag tag = Tag.builder().key("stage").value("test").build();
        World.db.tagResource(r -> r.resourceArn(World.made.tableArn()).tags(tag));
        assertEquals(List.of(tag), World.db.listTagsOfResource(r -> r.resourceArn(World.made.tableArn())).tags());
    }

    @Test
    void timeToLiveIsTurnedOn() {
        World.db.updateTimeToLive(r -> r.tableName(World.TABLE).timeToLiveSpecification(s -> s.attributeName("until").enabled(true)));
        TimeToLiveDescription told = World.db.describeTimeToLive(r -> r.tableName(World.TABLE)).timeToLiveDescription();
        assertEquals("until", told.attributeName());
        assertTrue(List.of(TimeToLiveStatus.ENABLING, TimeToLiveStatus.ENABLED).contains(told.timeToLiveStatus()), told.toString());
    }
}
