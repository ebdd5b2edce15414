package clients

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func transact(items ...types.TransactWriteItem) error {
	_, err := db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	return err
}

func putting(what item) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &shared, Item: what}}
}

// Adds one to the item's n.
func adding(what item) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &shared, Key: what, UpdateExpression: aws.String("ADD n :one"), ExpressionAttributeValues: item{":one": number("1")}}}
}

func absent(what item) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: &shared, Key: what, ConditionExpression: aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}}
}

func TestATransactionIsWrittenAndRead(t *testing.T) {
	pk := newName(t)
	must(t, transact(putting(key(pk, 1)), adding(key(pk, 2)), absent(key(pk, 3))))
	must(t, transact(adding(key(pk, 2)), types.TransactWriteItem{Delete: &types.Delete{TableName: &shared, Key: key(pk, 1)}}))
	var gets []types.TransactGetItem
	for sk := 1; sk <= 3; sk++ {
		gets = append(gets, types.TransactGetItem{Get: &types.Get{TableName: &shared, Key: key(pk, sk)}})
	}
	out, err := db.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{TransactItems: gets})
	must(t, err)
	equal(t, len(out.Responses), 3)
	equal(t, len(out.Responses[0].Item), 0)
	equal(t, out.Responses[1].Item["n"], number("2"))
	equal(t, len(out.Responses[2].Item), 0)
}

func TestACancelledTransactionGivesItsReasons(t *testing.T) {
	there := key(newName(t), 1)
	put(t, there)
	other := key(newName(t), 2)
	fault := caught[*types.TransactionCanceledException](t, transact(putting(other), absent(there)))
	equal(t, fault.ErrorMessage(),
		"Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]")
	equal(t, len(fault.CancellationReasons), 2)
	equal(t, *fault.CancellationReasons[0].Code, "None")
	reason := fault.CancellationReasons[1]
	equal(t, []string{*reason.Code, *reason.Message}, []string{"ConditionalCheckFailed", "The conditional request failed"})
	equal(t, reason.Item, there)
	equal(t, get(t, other), item(nil))
}

func TestATokenIsGoodForOneTransaction(t *testing.T) {
	one := key(newName(t), 1)
	token := aws.String(newName(t)[:36])
	call := func(items ...types.TransactWriteItem) error {
		_, err := db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items, ClientRequestToken: token})
		return err
	}
	must(t, call(adding(one)))
	must(t, call(adding(one)))
	equal(t, get(t, one)["n"], number("1"))
	fault := caught[*types.IdempotentParameterMismatchException](t, call(putting(one)))
	check(t, fault.ErrorMessage() != "", "no message")
}
