package ec2

import (
	"encoding/base64"
	"iter"
	"slices"
	"strconv"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
)

// Bounds of MaxResults of EC2's Describe operations.
const (
	minResults = 5
	maxResults = 1000
)

// query is what every Describe operation is asked.
type query struct {
	ids        []string
	filters    []ec2api.Filter
	maxResults *int32
	nextToken  *string
}

// noun tells a Describe operation about its records.
type noun[R, O any] struct {
	id      func(*R) string
	missing func(id string) error // the error for an identifier that does not exist
	tags    func(*R) model.Tags
	fields  fields[R]
	convert func(*R) O
}

// describe answers a Describe operation: get finds a record by identifier, all lists every record.
// An identifier that does not exist is an error, whatever the filters say, as on EC2.
func describe[R, O any](q query, n noun[R, O], get func(id string) (*R, bool), all iter.Seq[*R]) ([]O, *string, error) {
	match, err := matcher(q.filters, n.fields, n.tags)
	if err != nil {
		return nil, nil, err
	}
	var found []*R
	if len(q.ids) > 0 {
		if q.maxResults != nil {
			return nil, nil, awsapi.NewError("InvalidParameterCombination", "The parameter maxResults cannot be used with a list of identifiers")
		}
		for _, id := range q.ids {
			rec, ok := get(id)
			if !ok {
				return nil, nil, n.missing(id)
			}
			if !slices.Contains(found, rec) && match(rec) {
				found = append(found, rec)
			}
		}
	} else {
		for rec := range all {
			if match(rec) {
				found = append(found, rec)
			}
		}
	}
	page, next, err := paginate(found, n.id, q.maxResults, q.nextToken)
	if err != nil {
		return nil, nil, err
	}
	out := make([]O, 0, len(page))
	for _, rec := range page {
		out = append(out, n.convert(rec))
	}
	return out, next, nil
}

// paginate returns one page of records that are ordered by identifier. The token names the last identifier of the page
// before, so a record that is made or deleted between two pages neither repeats nor hides another one.
func paginate[R any](recs []*R, id func(*R) string, limit *int32, token *string) ([]*R, *string, error) {
	if limit != nil && (*limit < minResults || *limit > maxResults) {
		return nil, nil, awsapi.NewError("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", *limit, minResults, maxResults)
	}
	if t := awsapi.Val(token); t != "" {
		after, err := base64.RawURLEncoding.DecodeString(t)
		if err != nil {
			return nil, nil, awsapi.NewError("InvalidNextToken", "The token '%s' is invalid", t)
		}
		start := slices.IndexFunc(recs, func(r *R) bool { return id(r) > string(after) })
		if start < 0 {
			start = len(recs)
		}
		recs = recs[start:]
	}
	size := maxResults
	if limit != nil {
		size = int(*limit)
	}
	if len(recs) <= size {
		return recs, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(id(recs[size-1])))
	return recs[:size], &next, nil
}

func number(n int) string { return strconv.Itoa(n) }
