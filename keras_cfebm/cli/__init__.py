"""The command `cfebm`: one module per subcommand; parse, call the library, print."""
