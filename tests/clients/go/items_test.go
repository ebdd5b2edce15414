package clients

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestEveryTypeIsReadBack(t *testing.T) {
	one := key(newName(t), 1)
	one["s"] = text("é\x00\U0001F30A")
	one["n"] = number("-1.5")
	one["b"] = &types.AttributeValueMemberB{Value: []byte{0, 255, 10}}
	one["bool"] = &types.AttributeValueMemberBOOL{Value: false}
	one["null"] = &types.AttributeValueMemberNULL{Value: true}
	one["ss"] = &types.AttributeValueMemberSS{Value: []string{"a", "b"}}
	one["ns"] = &types.AttributeValueMemberNS{Value: []string{"1", "2"}}
	one["bs"] = &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}}
	one["l"] = &types.AttributeValueMemberL{Value: []types.AttributeValue{text("x"), number("7"), &types.AttributeValueMemberM{
		Value: item{"deep": &types.AttributeValueMemberL{Value: []types.AttributeValue{number("0.1")}}}}}}
	one["m"] = &types.AttributeValueMemberM{Value: item{"a b": text(""), "a.b[0]": number("0")}}
	put(t, one)
	equal(t, get(t, one), one)
}

func TestEmptyValuesAreReadBack(t *testing.T) {
	one := key(newName(t), 1)
	one["s"] = text("")
	one["b"] = &types.AttributeValueMemberB{Value: []byte{}}
	one["l"] = &types.AttributeValueMemberL{Value: []types.AttributeValue{}}
	one["m"] = &types.AttributeValueMemberM{Value: item{}}
	put(t, one)
	equal(t, get(t, one), one)
}

func TestNumbersOf38DigitsAreReadBack(t *testing.T) {
	one := key(newName(t), 1)
	exact := map[string]string{
		"whole": "12345678901234567890123456789012345678", "negative": "-99999999999999999999999999999999999999",
		"part": "0.12345678901234567890123456789012345678", "mixed": "1234567890123456789.0123456789012345678"}
	for name, value := range exact {
		one[name] = number(value)
	}
	put(t, one)
	equal(t, get(t, one), one)
}

func TestTheLargestAndTheSmallestNumbersKeepTheirValue(t *testing.T) {
	for sk, value := range []string{"9.9999999999999999999999999999999999999E+125", "-9.9999999999999999999999999999999999999E+125", "1E-130"} {
		one := key(newName(t), sk)
		one["n"] = number(value)
		put(t, one)
		got := get(t, one)["n"].(*types.AttributeValueMemberN).Value
		sent, _ := new(big.Rat).SetString(value)
		read, ok := new(big.Rat).SetString(got)
		check(t, ok && read.Cmp(sent) == 0, "another value: "+got)
	}
}

func TestWritesReturnWhatWasAsked(t *testing.T) {
	one := key(newName(t), 1)
	one["n"] = number("1")
	put(t, one)
	again, err := db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &shared, Item: one, ReturnValues: types.ReturnValueAllOld, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
	must(t, err)
	equal(t, again.Attributes, one)
	equal(t, *again.ConsumedCapacity.TableName, shared)
	check(t, *again.ConsumedCapacity.CapacityUnits >= 1, "no capacity")
	updated, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &shared, Key: item{"pk": one["pk"], "sk": one["sk"]}, UpdateExpression: aws.String("ADD #n :by"),
		ExpressionAttributeNames:  map[string]string{"#n": "n"},
		ExpressionAttributeValues: item{":by": number("41")}, ReturnValues: types.ReturnValueUpdatedNew})
	must(t, err)
	equal(t, updated.Attributes, item{"n": number("42")})
	deleted, err := db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &shared, Key: item{"pk": one["pk"], "sk": one["sk"]}, ReturnValues: types.ReturnValueAllOld})
	must(t, err)
	equal(t, deleted.Attributes["n"], number("42"))
	equal(t, get(t, one), item(nil))
}

func TestAConditionThatFailsHasATypeOfItsOwn(t *testing.T) {
	one := key(newName(t), 1)
	put(t, one)
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &shared, Item: one, ConditionExpression: aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
	fault := caught[*types.ConditionalCheckFailedException](t, err)
	equal(t, fault.ErrorMessage(), "The conditional request failed")
	equal(t, fault.Item, one)
}

func TestATableThatIsNotThereHasATypeOfItsOwn(t *testing.T) {
	_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(prefix + "-none"), Key: key("a", 1)})
	fault := caught[*types.ResourceNotFoundException](t, err)
	equal(t, fault.ErrorMessage(), "Requested resource not found")
	var answer *awshttp.ResponseError
	check(t, errors.As(err, &answer), "no answer")
	equal(t, answer.HTTPStatusCode(), 400)
	check(t, len(answer.ServiceRequestID()) == 52, "another request id: "+answer.ServiceRequestID())
}

func TestAWrongRequestIsToldByItsMessage(t *testing.T) {
	_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &shared, Key: item{"pk": text("a")}})
	refused(t, err, "ValidationException", "The provided key element does not match the schema")
}

func TestItemsThatAreTooLargeAreRefused(t *testing.T) {
	one := key(newName(t), 1)
	one["s"] = text(strings.Repeat("x", 400*1024))
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &shared, Item: one})
	refused(t, err, "ValidationException", "Item size has exceeded the maximum allowed size")
}

func TestAWrongSecretIsRefused(t *testing.T) {
	right, err := db.Options().Credentials.Retrieve(ctx)
	must(t, err)
	refused(t, listTablesAs(t, right.AccessKeyID), "InvalidSignatureException",
		"The request signature we calculated does not match the signature you provided")
	refused(t, listTablesAs(t, "AKIANOBODY"), "UnrecognizedClientException", "The security token included in the request is invalid")
}

// By a client of its own: a client remembers what it derived from an access key's secret.
func listTablesAs(t *testing.T, accessKeyID string) error {
	t.Helper()
	loaded, err := config.LoadDefaultConfig(ctx,
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(accessKeyID, "wrong", "")))
	must(t, err)
	_, err = dynamodb.NewFromConfig(loaded).ListTables(ctx, &dynamodb.ListTablesInput{})
	return err
}
