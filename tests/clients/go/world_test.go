// Package clients is Headwater as a Go program sees it: the AWS SDK for Go v2, unmodified and configured as usual.
//
// The endpoint, the keys and the region come from the environment (AWS_ENDPOINT_URL and so on), so the same tests run
// against any server that speaks DynamoDB. All tests share one table, each with partition keys of its own.
package clients

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
)

const waitTime = 2 * time.Minute

var (
	ctx     = context.Background()
	db      *dynamodb.Client
	streams *dynamodbstreams.Client
	prefix  = fmt.Sprintf("clients-go-%d", time.Now().UnixNano())
	shared  = prefix + "-shared"
	made    *types.TableDescription // the answer that made the shared table
	numbers atomic.Int64
)

func TestMain(m *testing.M) {
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	db = dynamodb.NewFromConfig(loaded)
	streams = dynamodbstreams.NewFromConfig(loaded)
	made, err = createTable(shared)
	if err != nil {
		panic(err)
	}
	status := m.Run()
	if _, err := db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &shared}); err != nil {
		panic(err)
	}
	os.Exit(status)
}

// A table with the keys pk: S and sk: N and a stream; it is active.
func createTable(name string) (*types.TableDescription, error) {
	out, err := db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:   &name,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeN},
		},
		KeySchema: keySchema("pk", "sk"),
		StreamSpecification: &types.StreamSpecification{
			StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	})
	if err != nil {
		return nil, err
	}
	waiter := dynamodb.NewTableExistsWaiter(db, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = time.Second })
	return out.TableDescription, waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &name}, waitTime)
}

func keySchema(partition, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &partition, KeyType: types.KeyTypeHash},
		{AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}

type item = map[string]types.AttributeValue

func text(value string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: value} }
func number(value string) types.AttributeValue { return &types.AttributeValueMemberN{Value: value} }
func count(value int) types.AttributeValue     { return number(strconv.Itoa(value)) }

// A partition key that no other test uses.
func newName(t *testing.T) string {
	return fmt.Sprintf("%s-%d", t.Name(), numbers.Add(1))
}

func key(pk string, sk int) item {
	return item{"pk": text(pk), "sk": count(sk)}
}

func put(t *testing.T, what item) {
	t.Helper()
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &shared, Item: what})
	must(t, err)
}

// The item as a consistent read sees it; nil when there is none.
func get(t *testing.T, what item) item {
	t.Helper()
	out, err := db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &shared, Key: item{"pk": what["pk"], "sk": what["sk"]}, ConsistentRead: aws.Bool(true)})
	must(t, err)
	return out.Item
}

// Puts the items of these sort keys under one partition key, in batches of 25.
func putMany(t *testing.T, pk string, from, to int, more item) {
	t.Helper()
	for from < to {
		var writes []types.WriteRequest
		for ; from < to && len(writes) < 25; from++ {
			one := key(pk, from)
			for name, value := range more {
				one[name] = value
			}
			writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: one}})
		}
		out, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{shared: writes}})
		must(t, err)
		equal(t, len(out.UnprocessedItems), 0)
	}
}

func sortKeys(items []item) []string {
	var found []string
	for _, one := range items {
		found = append(found, one["sk"].(*types.AttributeValueMemberN).Value)
	}
	return found
}
