package local_aws;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.util.Arrays;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * Hadoop's view of the embedded S3: s3://bucket/key is the plain file root/bucket/key.
 *
 * A bucket may be created at any time; one that does not exist is an error that says so, and is
 * never created by writing to it. No checksum files, no permissions, no blocks, as in S3.
 * Compiled by Janino, which ships with Spark: no lambdas, no generics inference.
 */
public class BucketFileSystem extends FileSystem {
    public static final String ROOT = "fs.local_aws.root";
    private static final long BLOCK = 128L * 1024 * 1024;

    private final RawLocalFileSystem disk = new RawLocalFileSystem();
    private URI uri;
    private File bucket;
    private Path workingDirectory;

    public void initialize(URI name, Configuration conf) throws IOException {
        super.initialize(name, conf);
        setConf(conf);
        String root = conf.get(ROOT);
        if (root == null) {
            throw new IOException(ROOT + " is not set");
        }
        if (name.getAuthority() == null) {
            throw new IOException("A bucket name is missing in " + name);
        }
        disk.initialize(URI.create("file:///"), conf);
        uri = URI.create(name.getScheme() + "://" + name.getAuthority());
        bucket = new File(root, name.getAuthority());
        workingDirectory = new Path(uri.toString() + "/");
        requireBucket();
    }

    private void requireBucket() throws IOException {
        if (!bucket.isDirectory()) {
            throw new IOException(
                "NoSuchBucket: The specified bucket does not exist: " + uri);
        }
    }

    private Path onDisk(Path path) throws IOException {
        requireBucket();
        Path full = makeQualified(path);
        checkPath(full);
        String key = full.toUri().getPath();
        File file = key.length() == 0 ? bucket : new File(bucket, key);
        return new Path("file", "", file.getPath());
    }

    private FileStatus asObject(FileStatus status, Path path) {
        return new FileStatus(
            status.isDirectory() ? 0 : status.getLen(),
            status.isDirectory(),
            1,
            BLOCK,
            status.getModificationTime(),
            path);
    }

    public URI getUri() {
        return uri;
    }

    public String getScheme() {
        return uri.getScheme();
    }

    protected int getDefaultPort() {
        return -1;
    }

    public long getDefaultBlockSize() {
        return BLOCK;
    }

    public long getDefaultBlockSize(Path path) {
        return BLOCK;
    }

    public Path getWorkingDirectory() {
        return workingDirectory;
    }

    public void setWorkingDirectory(Path path) {
        workingDirectory = makeQualified(path);
    }

    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        FileStatus status = getFileStatus(path);
        if (status.isDirectory()) {
            throw new FileNotFoundException(path + " is a prefix, not an object");
        }
        return disk.open(onDisk(path), bufferSize);
    }

    public FSDataOutputStream create(
        Path path,
        FsPermission permission,
        boolean overwrite,
        int bufferSize,
        short replication,
        long blockSize,
        Progressable progress) throws IOException {
        Path target = onDisk(path);
        File file = disk.pathToFile(target);
        if (file.isDirectory()) {
            throw new FileAlreadyExistsException(path + " is a prefix, not an object");
        }
        return disk.create(target, overwrite, bufferSize, replication, blockSize, progress);
    }

    public FSDataOutputStream append(Path path, int bufferSize, Progressable progress)
        throws IOException {
        throw new UnsupportedOperationException("S3 has no append: " + path);
    }

    public boolean rename(Path source, Path target) throws IOException {
        Path from = onDisk(source);
        Path to = onDisk(target);
        if (!disk.exists(from)) {
            return false;
        }
        File folder = disk.pathToFile(to).getParentFile();
        if (folder != null && !folder.exists()) {
            folder.mkdirs();
        }
        return disk.rename(from, to);
    }

    public boolean delete(Path path, boolean recursive) throws IOException {
        File file = disk.pathToFile(onDisk(path));
        if (file.equals(bucket)) {
            if (!recursive && bucket.list().length > 0) {
                throw new IOException(path + " is not empty");
            }
            FileStatus[] children = listStatus(path);
            for (int i = 0; i < children.length; i++) {
                delete(children[i].getPath(), true);
            }
            return true;
        }
        return disk.delete(onDisk(path), recursive);
    }

    public FileStatus[] listStatus(Path path) throws IOException {
        FileStatus status = getFileStatus(path);
        if (!status.isDirectory()) {
            return new FileStatus[] {status};
        }
        FileStatus[] found = disk.listStatus(onDisk(path));
        FileStatus[] objects = new FileStatus[found.length];
        Path parent = makeQualified(path);
        for (int i = 0; i < found.length; i++) {
            objects[i] = asObject(found[i], new Path(parent, found[i].getPath().getName()));
        }
        Arrays.sort(objects);
        return objects;
    }

    public boolean mkdirs(Path path, FsPermission permission) throws IOException {
        return disk.mkdirs(onDisk(path));
    }

    public FileStatus getFileStatus(Path path) throws IOException {
        try {
            return asObject(disk.getFileStatus(onDisk(path)), makeQualified(path));
        } catch (FileNotFoundException missing) {
            throw new FileNotFoundException("No such object or prefix: " + makeQualified(path));
        }
    }
}
