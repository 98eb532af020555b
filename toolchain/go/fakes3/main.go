// Command fakes3 is an object store in memory that speaks S3, for tests. It
// lets in who names its access key, and verifies no signature.
package main

import (
	"flag"
	"log"
	"net/http"
	"strings"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "host and port")
	bucket := flag.String("bucket", "bucket", "the bucket that is there")
	key := flag.String("access-key", "", "the access key that a request must name")
	flag.Parse()

	objects := s3mem.New()
	if err := objects.CreateBucket(*bucket); err != nil {
		log.Fatal(err)
	}
	store := gofakes3.New(objects).Server()
	credential := "Credential=" + *key + "/"
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), credential) {
			http.Error(w, "no such access key", http.StatusForbidden)
			return
		}
		store.ServeHTTP(w, r)
	})))
}
