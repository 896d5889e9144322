"""What the Glue jobs share; shipped to AWS Glue as a zip with `--extra-py-files`."""
