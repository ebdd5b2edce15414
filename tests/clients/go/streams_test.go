package clients

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

func streamKey(pk string, sk int) map[string]types.AttributeValue {
	one := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}}
	one["sk"] = &types.AttributeValueMemberN{Value: string(rune('0' + sk))}
	return one
}

// The shards of the shared table's stream, by pages of one.
func shards(t *testing.T) []types.Shard {
	t.Helper()
	var found []types.Shard
	input := &dynamodbstreams.DescribeStreamInput{StreamArn: made.LatestStreamArn, Limit: aws.Int32(1)}
	for {
		out, err := streams.DescribeStream(ctx, input)
		must(t, err)
		equal(t, out.StreamDescription.StreamStatus, types.StreamStatusEnabled)
		equal(t, out.StreamDescription.StreamViewType, types.StreamViewTypeNewAndOldImages)
		found = append(found, out.StreamDescription.Shards...)
		input.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId
		if input.ExclusiveStartShardId == nil {
			return found
		}
	}
}

func iterator(t *testing.T, input *dynamodbstreams.GetShardIteratorInput) *string {
	t.Helper()
	input.StreamArn = made.LatestStreamArn
	out, err := streams.GetShardIterator(ctx, input)
	must(t, err)
	return out.ShardIterator
}

// This many records with this partition key, in the shard that has them, and that shard.
func recordsOf(t *testing.T, pk string, wanted int) ([]types.Record, *string) {
	t.Helper()
	until := time.Now().Add(waitTime)
	for time.Now().Before(until) {
		for _, shard := range shards(t) {
			from := iterator(t, &dynamodbstreams.GetShardIteratorInput{
				ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			if found := followed(t, from, pk, wanted); len(found) == wanted {
				return found, shard.ShardId
			}
		}
	}
	t.Fatal("the records do not come")
	return nil, nil
}

// The records with this partition key from an iterator on, until there are enough or a page is empty.
func followed(t *testing.T, from *string, pk string, wanted int) []types.Record {
	t.Helper()
	var found []types.Record
	for from != nil {
		out, err := streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: from, Limit: aws.Int32(100)})
		must(t, err)
		for _, record := range out.Records {
			if record.Dynamodb.Keys["pk"].(*types.AttributeValueMemberS).Value == pk {
				found = append(found, record)
			}
		}
		if len(out.Records) == 0 || len(found) >= wanted {
			break
		}
		from = out.NextShardIterator
	}
	return found
}

func changeThrice(t *testing.T, pk string) {
	t.Helper()
	put(t, key(pk, 1))
	changed := key(pk, 1)
	changed["v"] = text("w")
	put(t, changed)
	_, err := db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &shared, Key: key(pk, 1)})
	must(t, err)
}

func TestTheStreamIsListed(t *testing.T) {
	out, err := streams.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: &shared})
	must(t, err)
	equal(t, len(out.Streams), 1)
	equal(t, *out.Streams[0].StreamArn, *made.LatestStreamArn)
	equal(t, *out.Streams[0].TableName, shared)
}

func TestChangesAreReadFromTheStream(t *testing.T) {
	pk := newName(t)
	changeThrice(t, pk)
	records, _ := recordsOf(t, pk, 3)
	insert, modify, remove := records[0], records[1], records[2]
	equal(t, []types.OperationType{insert.EventName, modify.EventName, remove.EventName},
		[]types.OperationType{types.OperationTypeInsert, types.OperationTypeModify, types.OperationTypeRemove})
	old := streamKey(pk, 1)
	equal(t, insert.Dynamodb.Keys, old)
	equal(t, insert.Dynamodb.NewImage, old)
	equal(t, len(insert.Dynamodb.OldImage), 0)
	changed := streamKey(pk, 1)
	changed["v"] = &types.AttributeValueMemberS{Value: "w"}
	equal(t, modify.Dynamodb.OldImage, old)
	equal(t, modify.Dynamodb.NewImage, changed)
	equal(t, remove.Dynamodb.OldImage, changed)
	age := time.Since(*remove.Dynamodb.ApproximateCreationDateTime)
	check(t, age > -time.Minute && age < time.Hour, "another time: "+remove.Dynamodb.ApproximateCreationDateTime.String())
	equal(t, []string{*insert.EventSource, *insert.AwsRegion}, []string{"aws:dynamodb", db.Options().Region})
}

func TestAStreamIsReadOnAfterASequenceNumber(t *testing.T) {
	pk := newName(t)
	changeThrice(t, pk)
	records, shard := recordsOf(t, pk, 3)
	for kind, wanted := range map[types.ShardIteratorType]int{
		types.ShardIteratorTypeAfterSequenceNumber: 1, types.ShardIteratorTypeAtSequenceNumber: 2} {
		from := iterator(t, &dynamodbstreams.GetShardIteratorInput{
			ShardId: shard, ShardIteratorType: kind, SequenceNumber: records[1].Dynamodb.SequenceNumber})
		equal(t, len(followed(t, from, pk, wanted+1)), wanted)
	}
	latest := iterator(t, &dynamodbstreams.GetShardIteratorInput{ShardId: shard, ShardIteratorType: types.ShardIteratorTypeLatest})
	equal(t, len(followed(t, latest, pk, 1)), 0)
}

func TestAStreamThatIsNotThereHasATypeOfItsOwn(t *testing.T) {
	arn := *made.TableArn + "/stream/2020-01-01T00:00:00.000"
	_, err := streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
	fault := caught[*types.ResourceNotFoundException](t, err)
	equal(t, fault.ErrorMessage(), "Requested resource not found: Stream: "+arn+" not found")
}
