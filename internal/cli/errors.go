package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
)

// Exit codes of neargate.
const (
	ExitFailed      = 1   // what was asked for did not happen
	ExitUsage       = 2   // wrong flags or arguments
	ExitUnreachable = 3   // no daemon answers
	ExitExec        = 125 // `exec` itself failed; other codes of it are the command's
	ExitInterrupted = 130
)

// Problem is an error for people: one sentence, and what to do about it.
type Problem struct {
	Text string
	Hint string // may be empty
	Code int    // exit code
	Err  error  // cause; may be nil
}

// Error returns the sentence and the hint.
func (p *Problem) Error() string {
	if p.Hint == "" {
		return p.Text
	}
	return p.Text + "\n" + p.Hint
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Usage returns a problem of the arguments.
func Usage(format string, args ...any) error {
	return &Problem{Text: fmt.Sprintf(format, args...), Code: ExitUsage}
}

// Failed returns a problem with a hint what to do.
func Failed(hint, format string, args ...any) error {
	return &Problem{Text: fmt.Sprintf(format, args...), Hint: hint, Code: ExitFailed}
}

// Explain turns an error of the SDK into one that says what happened in AWS's words, without the SDK's wrapping, and what
// to do when nobody answers.
func Explain(err error, endpoint string) error {
	var known *Problem
	if err == nil || errors.As(err, &known) {
		return err
	}
	if unreachable(err) {
		return &Problem{Text: fmt.Sprintf("Neargate is not running at %s: start it with `neargate serve`", endpoint), Code: ExitUnreachable, Err: err,
			Hint: "(as root; `neargate doctor` says what this machine lacks. Another address: --endpoint or NEARGATE_ENDPOINT.)"}
	}
	if errors.Is(err, context.Canceled) {
		return &Problem{Text: "interrupted", Code: ExitInterrupted, Err: err}
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	p := &Problem{Text: api.ErrorCode() + ": " + api.ErrorMessage(), Code: ExitFailed, Err: err}
	if served := servedRegion.FindStringSubmatch(api.ErrorMessage()); served != nil {
		p.Hint = "Leave --region and NEARGATE_REGION out, or say " + served[1] + "."
	}
	return p
}

// ExitCode returns the exit code that belongs to an error.
func ExitCode(err error) int {
	var p *Problem
	switch {
	case err == nil:
		return 0
	case errors.As(err, &p) && p.Code != 0:
		return p.Code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}

// apiCode returns the AWS error code of an error, empty if it has none.
func apiCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// apiMessage returns AWS's words of an error.
func apiMessage(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return err.Error()
}
