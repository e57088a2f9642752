package wire_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/awsapi/stsapi"
)

// TestRoundTrip sends every operation of the manifest with every member set through the AWS SDK, and compares what
// arrives with what was sent, in both directions. Both sides have the names of the model, so fields are found by name.
func TestRoundTrip(t *testing.T) {
	var got, answer any
	s := newServer()
	descs := []*awsapi.Service{
		ec2api.Description(), ecsapi.Description(), elbv2api.Description(), ecrapi.Description(), logsapi.Description(),
		iamapi.Description(), stsapi.Description(), cfnapi.Description(),
	}
	for _, desc := range descs {
		s.Mount(withHandler(desc, func(op *awsapi.Operation, in any) (any, error) {
			got = in
			return answer, nil
		}), nil)
	}
	cfg, _ := start(t, s)
	clients := map[string]any{
		"ec2": ec2.NewFromConfig(cfg), "ecs": ecs.NewFromConfig(cfg), "elbv2": elasticloadbalancingv2.NewFromConfig(cfg),
		"ecr": ecr.NewFromConfig(cfg), "logs": cloudwatchlogs.NewFromConfig(cfg), "iam": iam.NewFromConfig(cfg),
		"sts": sts.NewFromConfig(cfg), "cfn": cloudformation.NewFromConfig(cfg),
	}
	for _, desc := range descs {
		client := reflect.ValueOf(clients[desc.Name])
		for _, op := range desc.Operations {
			t.Run(desc.Name+"/"+op.Name, func(t *testing.T) {
				method := client.MethodByName(op.Name)
				if !method.IsValid() {
					t.Skip("the SDK does not have this operation")
				}
				in := reflect.New(method.Type().In(1).Elem())
				(&filler{}).fill(in.Elem(), 0)
				prune(in.Elem(), reflect.TypeOf(op.NewInput()))
				if dry := in.Elem().FieldByName("DryRun"); dry.IsValid() {
					dry.SetZero()
				}
				answer = op.NewOutput()
				(&filler{}).fill(reflect.ValueOf(answer).Elem(), 0)

				results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
				if err, _ := results[1].Interface().(error); err != nil {
					t.Fatal(err)
				}
				compare(t, "input", in.Elem(), reflect.ValueOf(got).Elem())
				compare(t, "output", results[0].Elem(), reflect.ValueOf(answer).Elem())
			})
		}
	}
}

// filler gives every value something that is different from all others.
type filler struct{ n int }

const maxDepth = 12

func (f *filler) fill(v reflect.Value, depth int) {
	if depth > maxDepth {
		return
	}
	f.n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1700000000+int64(f.n), 0).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "ResultMetadata" {
				f.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		switch {
		case v.Type() == reflect.TypeFor[awsapi.Document]():
			return // the SDK has its own type for it
		case v.Type().Elem().Kind() == reflect.Uint8:
			v.SetBytes([]byte{0, byte(f.n), 255})
		case depth < maxDepth: // an element of a list cannot be absent
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			f.fill(v.Index(0), depth+1)
			f.fill(v.Index(1), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"k.1", "k 2"} {
			elem := reflect.New(v.Type().Elem()).Elem()
			f.fill(elem, depth+1)
			v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), elem)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("v%d <&>\"' é\u2028 + =%%", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(f.n) + 0.5)
	}
}

// prune takes out what the SDK has and our model does not: the edge refuses it.
func prune(sdk reflect.Value, ours reflect.Type) {
	if sdk.Kind() == reflect.Pointer && sdk.IsNil() {
		return
	}
	if sdk.Kind() == reflect.Pointer {
		sdk = sdk.Elem()
	}
	if ours.Kind() == reflect.Pointer {
		ours = ours.Elem()
	}
	switch {
	case sdk.Kind() == reflect.Struct && ours.Kind() == reflect.Struct && ours != reflect.TypeFor[time.Time]():
		for i := range sdk.NumField() {
			if field, ok := ours.FieldByName(sdk.Type().Field(i).Name); ok {
				prune(sdk.Field(i), field.Type)
			} else if sdk.Type().Field(i).IsExported() {
				sdk.Field(i).SetZero()
			}
		}
	case sdk.Kind() == reflect.Slice && ours.Kind() == reflect.Slice:
		for i := range sdk.Len() {
			prune(sdk.Index(i), ours.Elem())
		}
	}
}

// compare reports where ours differs from the SDK's. A field that the SDK's model lacks or that is of a kind without an
// equal (documents, unions) is left out.
func compare(t *testing.T, path string, sdk, ours reflect.Value) {
	t.Helper()
	if sdk.Kind() == reflect.Pointer || sdk.Kind() == reflect.Interface {
		if sdk.IsNil() {
			if !isZero(ours) {
				t.Errorf("%s: absent in the SDK, ours %v", path, ours)
			}
			return
		}
		if sdk.Kind() == reflect.Interface {
			return
		}
		sdk = sdk.Elem()
	}
	if ours.Kind() == reflect.Pointer {
		if ours.IsNil() {
			if !isZero(sdk) {
				t.Errorf("%s: SDK %v, absent in ours", path, sdk)
			}
			return
		}
		ours = ours.Elem()
	}
	switch sdk.Kind() {
	case reflect.Struct:
		if at, ok := sdk.Interface().(time.Time); ok {
			if !at.Equal(ours.Interface().(time.Time)) {
				t.Errorf("%s: SDK %v, ours %v", path, sdk, ours)
			}
			return
		}
		for i := range sdk.NumField() {
			name := sdk.Type().Field(i).Name
			if field := ours.FieldByName(name); field.IsValid() {
				compare(t, path+"."+name, sdk.Field(i), field)
			}
		}
	case reflect.Slice:
		if sdk.Len() != ours.Len() {
			t.Errorf("%s: SDK has %d elements, ours %d", path, sdk.Len(), ours.Len())
			return
		}
		for i := range sdk.Len() {
			compare(t, fmt.Sprintf("%s[%d]", path, i), sdk.Index(i), ours.Index(i))
		}
	case reflect.Map:
		if sdk.Len() != ours.Len() {
			t.Errorf("%s: SDK has %d entries, ours %d", path, sdk.Len(), ours.Len())
		}
		for _, key := range sdk.MapKeys() {
			value := ours.MapIndex(reflect.ValueOf(key.String()))
			if !value.IsValid() {
				t.Errorf("%s: no entry %q", path, key)
				continue
			}
			compare(t, path+"["+key.String()+"]", sdk.MapIndex(key), value)
		}
	default:
		if fmt.Sprint(sdk) != fmt.Sprint(ours) {
			t.Errorf("%s: SDK %v, ours %v", path, sdk, ours)
		}
	}
}

func isZero(v reflect.Value) bool {
	return v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}
