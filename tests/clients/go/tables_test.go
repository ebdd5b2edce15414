package clients

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestATableIsCreatedAndWaitedFor(t *testing.T) {
	equal(t, made.TableStatus, types.TableStatusCreating)
	out, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &shared})
	must(t, err)
	table := out.Table
	equal(t, table.TableStatus, types.TableStatusActive)
	equal(t, table.KeySchema, keySchema("pk", "sk"))
	equal(t, table.BillingModeSummary.BillingMode, types.BillingModePayPerRequest)
	check(t, strings.HasSuffix(*table.TableArn, ":table/"+shared), *table.TableArn)
	check(t, strings.HasPrefix(*table.LatestStreamArn, *table.TableArn+"/stream/"), *table.LatestStreamArn)
	age := time.Since(*table.CreationDateTime)
	check(t, age > -time.Minute && age < time.Hour, "another creation time: "+table.CreationDateTime.String())
}

func TestATableIsDeletedAndWaitedFor(t *testing.T) {
	name := prefix + "-deleted"
	_, err := createTable(name)
	must(t, err)
	_, err = createTable(name)
	inUse := caught[*types.ResourceInUseException](t, err)
	equal(t, inUse.ErrorMessage(), "Table already exists: "+name)
	out, err := db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name})
	must(t, err)
	equal(t, out.TableDescription.TableStatus, types.TableStatusDeleting)
	waiter := dynamodb.NewTableNotExistsWaiter(db, func(o *dynamodb.TableNotExistsWaiterOptions) { o.MinDelay = time.Second })
	must(t, waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &name}, waitTime))
	_, err = db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	missing := caught[*types.ResourceNotFoundException](t, err)
	equal(t, missing.ErrorMessage(), "Requested resource not found: Table: "+name+" not found")
}

func TestTablesAreListedByPages(t *testing.T) {
	pages := dynamodb.NewListTablesPaginator(db, &dynamodb.ListTablesInput{
		ExclusiveStartTableName: aws.String(shared[:len(shared)-1]), Limit: aws.Int32(1)})
	page, err := pages.NextPage(ctx)
	must(t, err)
	equal(t, page.TableNames, []string{shared})
}

func TestATableIsTagged(t *testing.T) {
	_, err := db.TagResource(ctx, &dynamodb.TagResourceInput{
		ResourceArn: made.TableArn, Tags: []types.Tag{{Key: aws.String("stage"), Value: aws.String("test")}}})
	must(t, err)
	out, err := db.ListTagsOfResource(ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: made.TableArn})
	must(t, err)
	equal(t, len(out.Tags), 1)
	equal(t, []string{*out.Tags[0].Key, *out.Tags[0].Value}, []string{"stage", "test"})
}

func TestTimeToLiveIsTurnedOn(t *testing.T) {
	_, err := db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               &shared,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("until"), Enabled: aws.Bool(true)}})
	must(t, err)
	out, err := db.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &shared})
	must(t, err)
	equal(t, *out.TimeToLiveDescription.AttributeName, "until")
	status := out.TimeToLiveDescription.TimeToLiveStatus
	check(t, status == types.TimeToLiveStatusEnabled || status == types.TimeToLiveStatusEnabling, string(status))
}
