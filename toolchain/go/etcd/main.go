// Command etcd is etcd's own server package with a main: the module of the
// official one does not build alone.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
