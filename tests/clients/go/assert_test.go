package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, got, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Fatalf("got %s, wanted %s", shown(got), shown(wanted))
	}
}

// As JSON, since attribute values are pointers.
func shown(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%+v", value)
	}
	return string(text)
}

func check(t *testing.T, holds bool, what string) {
	t.Helper()
	if !holds {
		t.Fatal(what)
	}
}

// The typed error that this one must be.
func caught[E error](t *testing.T, err error) E {
	t.Helper()
	var typed E
	if !errors.As(err, &typed) {
		t.Fatalf("got %v, wanted %T", err, typed)
	}
	return typed
}

// An error that the SDK has no type for: its code, and words of its message.
func refused(t *testing.T, err error, code, words string) {
	t.Helper()
	fault := caught[smithy.APIError](t, err)
	equal(t, fault.ErrorCode(), code)
	check(t, strings.Contains(fault.ErrorMessage(), words), "another message: "+fault.ErrorMessage())
}
