package compat

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

func scenarioLogs(c *client) {
	t := c.t
	group, stream := aws.String("/ecs/web"), aws.String("app/app/1")
	must(t, c.logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group, Tags: map[string]string{"a": "1"}})
	refused(t, "ResourceAlreadyExistsException", c.logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group})
	must(t, c.logs.PutRetentionPolicy, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: group, RetentionInDays: aws.Int32(7)})
	for i := range 4 {
		must(t, c.logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(fmt.Sprint("/ecs/web-", i))})
	}
	var names []string
	var arn string
	for p := cloudwatchlogs.NewDescribeLogGroupsPaginator(c.logs, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: group, Limit: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.LogGroups {
			names = append(names, *g.LogGroupName)
			if *g.LogGroupName == *group {
				arn = strings.TrimSuffix(*g.Arn, ":*")
				want(t, "retention", *g.RetentionInDays, int32(7))
				present(t, g, "CreationTime", "LogGroupArn", "StoredBytes", "LogGroupClass")
			} else {
				absent(t, g, "RetentionInDays")
			}
		}
	}
	want(t, "groups of the pages", len(names), 5)
	must(t, c.logs.DeleteRetentionPolicy, &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: group})

	for _, name := range []string{*stream, "app/app/2", "app/app/3"} {
		must(t, c.logs.CreateLogStream, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: &name})
	}
	refused(t, "ResourceAlreadyExistsException", c.logs.CreateLogStream, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
	now := time.Now().UnixMilli()
	var events []types.InputLogEvent
	for i := range 10 {
		events = append(events, types.InputLogEvent{Timestamp: aws.Int64(now - 1000 + int64(i)), Message: aws.String(fmt.Sprintf("line %d é\t<&>", i))})
	}
	must(t, c.logs.PutLogEvents, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events})
	old := must(t, c.logs.PutLogEvents, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: aws.String("app/app/2"), LogEvents: []types.InputLogEvent{
		{Timestamp: aws.Int64(now - 15*24*3600*1000), Message: aws.String("too old")},
	}})
	must(t, c.logs.PutLogEvents, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: aws.String("app/app/2"), LogEvents: []types.InputLogEvent{{Timestamp: aws.Int64(now), Message: aws.String("ERROR now")}}})
	if old.RejectedLogEventsInfo == nil || aws.ToInt32(old.RejectedLogEventsInfo.TooOldLogEventEndIndex) != 1 {
		t.Errorf("rejected: %+v", old.RejectedLogEventsInfo)
	}
	var lines []string
	for p := cloudwatchlogs.NewGetLogEventsPaginator(c.logs, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: stream, StartFromHead: aws.Bool(true), Limit: aws.Int32(4)}, func(o *cloudwatchlogs.GetLogEventsPaginatorOptions) { o.StopOnDuplicateToken = true }); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			lines = append(lines, *e.Message)
		}
	}
	want(t, "lines", len(lines), 10)
	want(t, "first", lines[0], "line 0 é\t<&>")
	newest := must(t, c.logs.GetLogEvents, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: stream, Limit: aws.Int32(2)})
	want(t, "newest", []string{*newest.Events[0].Message, *newest.Events[1].Message}, []string{"line 8 é\t<&>", "line 9 é\t<&>"})
	seen := 0
	for p := cloudwatchlogs.NewFilterLogEventsPaginator(c.logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, LogStreamNamePrefix: aws.String("app/"), Limit: aws.Int32(3)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Events)
	}
	want(t, "events of the pages", seen, 11)
	found := must(t, c.logs.FilterLogEvents, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String("ERROR")}).Events
	if len(found) != 1 || *found[0].LogStreamName != "app/app/2" || found[0].EventId == nil || found[0].IngestionTime == nil {
		t.Errorf("found: %+v", found)
	}
	seen = 0
	for p := cloudwatchlogs.NewDescribeLogStreamsPaginator(c.logs, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group, Limit: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.LogStreams)
	}
	want(t, "streams of the pages", seen, 3)
	latest := must(t, c.logs.DescribeLogStreams, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group, OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true), Limit: aws.Int32(1)}).LogStreams
	want(t, "latest", *latest[0].LogStreamName, "app/app/2")
	must(t, c.logs.DeleteLogStream, &cloudwatchlogs.DeleteLogStreamInput{LogGroupName: group, LogStreamName: stream})
	refused(t, "ResourceNotFoundException", c.logs.GetLogEvents, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: stream})

	must(t, c.logs.TagResource, &cloudwatchlogs.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"b": "2"}})
	must(t, c.logs.UntagResource, &cloudwatchlogs.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"a"}})
	//lint:ignore SA1019 version 5 of Terraform's provider calls it
	must(t, c.logs.TagLogGroup, &cloudwatchlogs.TagLogGroupInput{LogGroupName: group, Tags: map[string]string{"c": "3", "d": "4"}})
	//lint:ignore SA1019 version 5 of Terraform's provider calls it
	must(t, c.logs.UntagLogGroup, &cloudwatchlogs.UntagLogGroupInput{LogGroupName: group, Tags: []string{"d"}})
	tags := map[string]string{"b": "2", "c": "3"}
	want(t, "tags", must(t, c.logs.ListTagsForResource, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: &arn}).Tags, tags)
	//lint:ignore SA1019 version 5 of Terraform's provider calls it
	want(t, "tags by name", must(t, c.logs.ListTagsLogGroup, &cloudwatchlogs.ListTagsLogGroupInput{LogGroupName: group}).Tags, tags)
	must(t, c.logs.DeleteLogGroup, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: group})
	refused(t, "ResourceNotFoundException", c.logs.DescribeLogStreams, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group})
}

const (
	noLogGroup    = "'LogGroupName': '/nothing'"
	noLogStream   = "'LogGroupName': '/nothing', 'LogStreamName': 'nothing'"
	noLogGroupARN = "'ResourceArn': 'arn:aws:logs:us-east-1:000000000000:log-group:/nothing'"
)

var wrongLogs = []wrong{
	{operation: "CreateLogGroup", input: `{'LogGroupName': 'no spaces please'}`, code: "InvalidParameterException"},
	{operation: "CreateLogGroup", input: `{'LogGroupName': 'a', 'KmsKeyId': 'arn:aws:kms:us-east-1:000000000000:key/1'}`, code: "InvalidParameterException", says: "kmsKeyId"},
	{operation: "DeleteLogGroup", input: "{" + noLogGroup + "}", code: "ResourceNotFoundException"},
	{operation: "DescribeLogGroups", input: `{'NextToken': 'nonsense'}`, code: "InvalidParameterException"},
	{operation: "CreateLogStream", input: "{" + noLogStream + "}", code: "ResourceNotFoundException"},
	{operation: "DeleteLogStream", input: "{" + noLogStream + "}", code: "ResourceNotFoundException"},
	{operation: "DescribeLogStreams", input: "{" + noLogGroup + "}", code: "ResourceNotFoundException"},
	{operation: "PutLogEvents", input: "{" + noLogStream + ", 'LogEvents': [{'Timestamp': 1, 'Message': 'a'}]}", code: "ResourceNotFoundException"},
	{operation: "GetLogEvents", input: "{" + noLogStream + "}", code: "ResourceNotFoundException"},
	{operation: "FilterLogEvents", input: "{" + noLogGroup + "}", code: "ResourceNotFoundException"},
	{operation: "PutRetentionPolicy", input: "{" + noLogGroup + ", 'RetentionInDays': 7}", code: "ResourceNotFoundException"},
	{operation: "PutRetentionPolicy", input: "{" + noLogGroup + ", 'RetentionInDays': 8}", code: "InvalidParameterException"},
	{operation: "DeleteRetentionPolicy", input: "{" + noLogGroup + "}", code: "ResourceNotFoundException"},
	{operation: "TagResource", input: "{" + noLogGroupARN + ", 'Tags': {'a': 'b'}}", code: "ResourceNotFoundException"},
	{operation: "UntagResource", input: "{" + noLogGroupARN + ", 'TagKeys': ['a']}", code: "ResourceNotFoundException"},
	{operation: "ListTagsForResource", input: "{" + noLogGroupARN + "}", code: "ResourceNotFoundException"},
	{operation: "TagLogGroup", input: "{" + noLogGroup + ", 'Tags': {'a': 'b'}}", code: "ResourceNotFoundException"},
	{operation: "UntagLogGroup", input: "{" + noLogGroup + ", 'Tags': ['a']}", code: "ResourceNotFoundException"},
	{operation: "ListTagsLogGroup", input: "{" + noLogGroup + "}", code: "ResourceNotFoundException"},
}
