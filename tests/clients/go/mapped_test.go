package clients

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type place struct {
	City  string
	Exact attributevalue.Number
}

// What a Go program stores: everything that the mapper has a tag or a type for.
type order struct {
	PK      string    `dynamodbav:"pk"`
	SK      int       `dynamodbav:"sk"`
	Total   float64   `dynamodbav:"total"`
	Tags    []string  `dynamodbav:"tags,stringset"`
	Sizes   []int     `dynamodbav:"sizes,numberset"`
	Photo   []byte    `dynamodbav:"photo"`
	Made    time.Time `dynamodbav:"made"`
	Until   time.Time `dynamodbav:"until,unixtime"`
	Where   *place    `dynamodbav:"where"`
	Lines   []place   `dynamodbav:"lines"`
	Missing *string   `dynamodbav:"missing,omitempty"`
	Nothing *string   `dynamodbav:"nothing"`
}

func newOrder(pk string, sk int) order {
	return order{
		PK: pk, SK: sk, Total: 19.99, Tags: []string{"a", "b"}, Sizes: []int{1, 2}, Photo: []byte{0, 255},
		Made:  time.Date(2026, 11, 30, 12, 0, 0, 123456789, time.UTC),
		Until: time.Unix(4_000_000_000, 0).UTC(),
		Where: &place{"Köln", "12345678901234567890123456789012345678"},
		Lines: []place{{"", "0"}, {"x", "-1.5"}}}
}

func putOrder(t *testing.T, one order) {
	t.Helper()
	mapped, err := attributevalue.MarshalMap(one)
	must(t, err)
	put(t, mapped)
}

func TestAStructIsMappedThereAndBack(t *testing.T) {
	one := newOrder(newName(t), 1)
	putOrder(t, one)
	var read order
	must(t, attributevalue.UnmarshalMap(get(t, key(one.PK, 1)), &read))
	read.Until = read.Until.UTC()
	equal(t, read, one)
}

func TestAnUpdateIsBuilt(t *testing.T) {
	one := newOrder(newName(t), 1)
	putOrder(t, one)
	built, err := expression.NewBuilder().
		WithUpdate(expression.Set(expression.Name("total"), expression.Plus(expression.Name("total"), expression.Value(0.01))).
			Set(expression.Name("lines"), expression.ListAppend(expression.Name("lines"), expression.Value([]place{{"new", "3"}}))).
			Set(expression.Name("fresh"), expression.IfNotExists(expression.Name("fresh"), expression.Value(true))).
			Remove(expression.Name("where.City")).
			Delete(expression.Name("tags"), expression.Value(&types.AttributeValueMemberSS{Value: []string{"a"}}))).
		WithCondition(expression.Name("sk").In(expression.Value(1), expression.Value(2)).
			And(expression.Name("where.City").BeginsWith("K"), expression.Name("lines").Size().Equal(expression.Value(2)))).
		Build()
	must(t, err)
	update := &dynamodb.UpdateItemInput{
		TableName: &shared, Key: key(one.PK, 1), UpdateExpression: built.Update(), ConditionExpression: built.Condition(),
		ExpressionAttributeNames: built.Names(), ExpressionAttributeValues: built.Values(), ReturnValues: types.ReturnValueAllNew}
	out, err := db.UpdateItem(ctx, update)
	must(t, err)
	var read order
	must(t, attributevalue.UnmarshalMap(out.Attributes, &read))
	equal(t, read.Total, 20.0)
	equal(t, read.Lines, append(one.Lines, place{"new", "3"}))
	equal(t, read.Tags, []string{"b"})
	equal(t, *read.Where, place{"", one.Where.Exact})
	_, err = db.UpdateItem(ctx, update)
	caught[*types.ConditionalCheckFailedException](t, err)
}

func TestAQueryIsBuilt(t *testing.T) {
	pk := newName(t)
	for sk := range 10 {
		one := newOrder(pk, sk)
		one.Total = float64(sk) / 10
		putOrder(t, one)
	}
	built, err := expression.NewBuilder().
		WithKeyCondition(expression.KeyAnd(expression.Key("pk").Equal(expression.Value(pk)), expression.Key("sk").GreaterThan(expression.Value(2)))).
		WithFilter(expression.Or(expression.Name("total").LessThan(expression.Value(0.5)), expression.Contains(expression.Name("tags"), "none"))).
		WithProjection(expression.NamesList(expression.Name("sk"), expression.Name("total"), expression.Name("lines[1].City"))).
		Build()
	must(t, err)
	pages := queryPages(t, &dynamodb.QueryInput{
		KeyConditionExpression: built.KeyCondition(), FilterExpression: built.Filter(), ProjectionExpression: built.Projection(),
		ExpressionAttributeNames: built.Names(), ExpressionAttributeValues: built.Values(), Limit: aws.Int32(3)})
	var read []order
	must(t, attributevalue.UnmarshalListOfMaps(slices.Concat(pages...), &read))
	equal(t, read, []order{
		{SK: 3, Total: 0.3, Lines: []place{{City: "x"}}}, {SK: 4, Total: 0.4, Lines: []place{{City: "x"}}}})
}
