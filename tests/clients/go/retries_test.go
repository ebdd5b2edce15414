package clients

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// A network that loses answers: each connection takes one call to the server, and the first ones bring nothing back.
type lossyNetwork struct {
	listener net.Listener
	server   *url.URL
	losses   atomic.Int32
	calls    atomic.Int32
}

func startLossyNetwork(t *testing.T, losses int32) *lossyNetwork {
	server, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	network := &lossyNetwork{listener: listener, server: server}
	network.losses.Store(losses)
	go network.accept()
	t.Cleanup(func() { listener.Close() })
	return network
}

func (n *lossyNetwork) accept() {
	for {
		client, err := n.listener.Accept()
		if err != nil {
			return
		}
		go n.carry(client)
	}
}

// The Host header stays what the client signed.
func (n *lossyNetwork) carry(client net.Conn) {
	defer client.Close()
	request, err := http.ReadRequest(bufio.NewReader(client))
	if err != nil {
		return
	}
	server, err := n.dial()
	if err != nil {
		return
	}
	defer server.Close()
	n.calls.Add(1)
	request.Close = true
	if request.Write(server) != nil {
		return
	}
	answer, err := io.ReadAll(server)
	if err != nil || n.losses.Add(-1) >= 0 {
		return
	}
	client.Write(answer)
}

// The client speaks plain HTTP to the network, which speaks to the server as the endpoint says.
func (n *lossyNetwork) dial() (net.Conn, error) {
	if n.server.Scheme == "http" {
		return net.Dial("tcp", n.server.Host)
	}
	var roots *x509.CertPool
	if bundle, err := os.ReadFile(os.Getenv("AWS_CA_BUNDLE")); err == nil {
		roots = x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
	}
	return tls.Dial("tcp", n.server.Host, &tls.Config{RootCAs: roots})
}

func (n *lossyNetwork) use(o *dynamodb.Options) {
	o.BaseEndpoint = aws.String("http://" + n.listener.Addr().String())
}

func attempts(t *testing.T, metadata middleware.Metadata) int {
	t.Helper()
	results, ok := retry.GetAttemptResults(metadata)
	check(t, ok, "no attempts are told")
	return len(results.Results)
}

func TestATransactionWhoseAnswerWasLostIsRetriedAndDoneOnce(t *testing.T) {
	network := startLossyNetwork(t, 1)
	one := key(newName(t), 1)
	out, err := db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{adding(one)}}, network.use)
	must(t, err)
	equal(t, attempts(t, out.ResultMetadata), 2)
	equal(t, int(network.calls.Load()), 2)
	equal(t, get(t, one)["n"], number("1"))
}

func TestAReadWhoseAnswersAreLostGivesUpInTheEnd(t *testing.T) {
	network := startLossyNetwork(t, 100)
	_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &shared, Key: key("a", 1)}, network.use,
		func(o *dynamodb.Options) { o.RetryMaxAttempts = 2 })
	caught[*retry.MaxAttemptsError](t, err)
	equal(t, int(network.calls.Load()), 2)
}

func TestAClockThatIsWrongIsCorrectedByARetry(t *testing.T) {
	skewed := os.Getenv("SKEWED_ENDPOINT_URL")
	if skewed == "" {
		t.Skip("SKEWED_ENDPOINT_URL names no server with another clock")
	}
	client := dynamodb.New(db.Options(), func(o *dynamodb.Options) { o.BaseEndpoint = &skewed })
	out, err := client.ListTables(ctx, &dynamodb.ListTablesInput{})
	must(t, err)
	equal(t, attempts(t, out.ResultMetadata), 2)
	out, err = client.ListTables(ctx, &dynamodb.ListTablesInput{})
	must(t, err)
	equal(t, attempts(t, out.ResultMetadata), 1)
}
