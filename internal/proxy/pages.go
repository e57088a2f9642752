package proxy

import "fmt"

// serverHeader is what a load balancer calls itself in the responses that it makes.
const serverHeader = "awselb/2.0"

// errorHeader marks, between two steps of HAProxy, which code a failed connection has to become. It never leaves it.
const errorHeader = "x-neargate-error"

// reasons are the reason phrases of the load balancer's own pages.
var reasons = map[int]string{
	301: "Moved Permanently", 302: "Found",
	400: "Bad Request", 405: "Not Allowed", 408: "Request Time-out", 413: "Request Entity Too Large", 414: "Request-URI Too Large",
	500: "Internal Server Error", 501: "Not Implemented",
	502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out",
}

// page returns the body of a response that the load balancer makes (aws-facts 3.6).
func page(status int) string { return pageOf(fmt.Sprintf("%d %s", status, reasons[status])) }

func pageOf(title string) string {
	return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n</body>\r\n</html>\r\n"
}

// ownHeaders are the headers of a response that the load balancer makes.
const ownHeaders = "hdr Server " + serverHeader + " hdr Date %[date,http_date]"

// returnPage is the action that answers with one of the pages.
func returnPage(status int) string {
	return fmt.Sprintf("http-request return status %d content-type text/html string %s %s", status, quote(page(status)), ownHeaders)
}
