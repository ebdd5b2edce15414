package clients

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Every page's items, by the SDK's paginator.
func queryPages(t *testing.T, input *dynamodb.QueryInput, options ...func(*dynamodb.Options)) [][]item {
	t.Helper()
	input.TableName = &shared
	var found [][]item
	pages := dynamodb.NewQueryPaginator(db, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, options...)
		must(t, err)
		equal(t, int(page.Count), len(page.Items))
		found = append(found, page.Items)
	}
	return found
}

func TestAQueryIsReadByPages(t *testing.T) {
	pk := newName(t)
	putMany(t, pk, 0, 25, nil)
	found := queryPages(t, &dynamodb.QueryInput{
		KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: item{":p": text(pk)}, Limit: aws.Int32(10)})
	equal(t, len(found), 3)
	equal(t, []int{len(found[0]), len(found[1]), len(found[2])}, []int{10, 10, 5})
	equal(t, sortKeys(found[1]), []string{"10", "11", "12", "13", "14", "15", "16", "17", "18", "19"})
}

func TestAQueryGoesBackwardsThroughARange(t *testing.T) {
	pk := newName(t)
	putMany(t, pk, -3, 12, nil)
	found := queryPages(t, &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("pk = :p AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{":p": text(pk), ":from": number("-2"), ":to": number("10"), ":odd": number("9")},
		FilterExpression:          aws.String("NOT contains(tags, :odd)"), ScanIndexForward: aws.Bool(false)})
	equal(t, sortKeys(slices.Concat(found...)), []string{"10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0", "-1", "-2"})
}

func TestLargePagesEndByThemselves(t *testing.T) {
	pk := newName(t)
	large := item{"s": text(strings.Repeat("x", 100_000))}
	for sk := range 15 {
		putMany(t, pk, sk, sk+1, large)
	}
	query := &dynamodb.QueryInput{KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: item{":p": text(pk)}}
	plain := queryPages(t, query)
	check(t, len(plain) == 2, "1.5 MB are two pages of at most 1 MiB")
	packed := queryPages(t, query, func(o *dynamodb.Options) { o.EnableAcceptEncodingGzip = true })
	equal(t, packed, plain)
	equal(t, len(slices.Concat(plain...)), 15)
}

func TestAScanInSegmentsFindsEverythingOnce(t *testing.T) {
	pk := newName(t)
	putMany(t, pk, 0, 40, nil)
	const segments = 4
	var all [segments][]item
	var failures [segments]error
	var running sync.WaitGroup
	for segment := range segments {
		running.Go(func() { all[segment], failures[segment] = scan(pk, segment, segments) })
	}
	running.Wait()
	for _, err := range failures {
		must(t, err)
	}
	found := sortKeys(slices.Concat(all[:]...))
	slices.Sort(found)
	equal(t, len(found), 40)
	equal(t, len(slices.Compact(found)), 40)
}

// What one segment has with this partition key.
func scan(pk string, segment, segments int) (found []item, err error) {
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{
		TableName: &shared, Segment: aws.Int32(int32(segment)), TotalSegments: aws.Int32(int32(segments)), Limit: aws.Int32(7),
		FilterExpression: aws.String("pk = :p"), ExpressionAttributeValues: item{":p": text(pk)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Items...)
	}
	return found, nil
}

func TestABatchIsWrittenReadAndDeleted(t *testing.T) {
	pk := newName(t)
	putMany(t, pk, 0, 25, item{"v": text("w")})
	var keys []item
	var writes []types.WriteRequest
	for sk := range 25 {
		keys = append(keys, key(pk, sk))
		writes = append(writes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key(pk, sk)}})
	}
	read := func() []item {
		out, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			shared: {Keys: keys, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("sk")}}})
		must(t, err)
		equal(t, len(out.UnprocessedKeys), 0)
		return out.Responses[shared]
	}
	equal(t, len(read()), 25)
	equal(t, len(read()[0]), 1)
	out, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{shared: writes}})
	must(t, err)
	equal(t, len(out.UnprocessedItems), 0)
	equal(t, len(read()), 0)
}
